//! Containers on networks.

use bollard::models::{EndpointIpamConfig, EndpointSettings, NetworkConnectRequest, NetworkDisconnectRequest};

use super::Docker;
use super::failure::status;
use crate::engine::NetworkAttachment;

impl Docker {
    pub(super) async fn container_attachment(
        &self,
        container: &str,
        network: &str,
    ) -> anyhow::Result<Option<NetworkAttachment>> {
        let operation = format!("cannot read the networks of container {container}");
        let inspected = self.inspect(container, &operation).await?;
        let networks = inspected.network_settings.and_then(|settings| settings.networks);
        let id = inspected.id.unwrap_or_default();
        let endpoint = networks.and_then(|mut networks| networks.remove(network));
        Ok(endpoint.map(|endpoint| NetworkAttachment {
            address: endpoint
                .ipam_config
                .and_then(|config| config.ipv4_address)
                .and_then(|address| address.parse().ok()),
            // The engine adds its own short id to the names that were asked for, and takes it for itself again.
            aliases: endpoint
                .aliases
                .unwrap_or_default()
                .into_iter()
                .filter(|alias| !id.starts_with(alias.as_str()))
                .collect(),
        }))
    }

    pub(super) async fn container_connect(
        &self,
        container: &str,
        network: &str,
        attachment: &NetworkAttachment,
    ) -> anyhow::Result<()> {
        if self.container_attachment(container, network).await?.is_some() {
            return Ok(());
        }
        let request = NetworkConnectRequest {
            container: container.to_owned(),
            endpoint_config: Some(EndpointSettings {
                aliases: Some(attachment.aliases.clone()),
                ipam_config: attachment.address.map(|address| EndpointIpamConfig {
                    ipv4_address: Some(address.to_string()),
                    ..EndpointIpamConfig::default()
                }),
                ..EndpointSettings::default()
            }),
        };
        let connected = self.client.connect_network(network, request).await;
        connected.map_err(self.failed(format_args!(
            "cannot connect container {container} to network {network}"
        )))
    }

    pub(super) async fn container_disconnect(&self, container: &str, network: &str) -> anyhow::Result<()> {
        let request = NetworkDisconnectRequest {
            container: container.to_owned(),
            force: Some(true),
        };
        match self.client.disconnect_network(network, request).await {
            // Engines say so in different words, and with different codes; that it is off is what counts.
            Err(error) if matches!(status(&error), Some(403 | 404 | 500)) => {
                match self.container_attachment(container, network).await? {
                    None => Ok(()),
                    Some(_) => Err(self.failed(format_args!(
                        "cannot disconnect container {container} from network {network}"
                    ))(error)),
                }
            }
            result => result.map_err(self.failed(format_args!(
                "cannot disconnect container {container} from network {network}"
            ))),
        }
    }
}
