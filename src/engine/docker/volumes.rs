//! Reading a volume without running anything.
//!
//! The engine's archive call reads from containers only, so a helper is created with the volume mounted, read, and
//! removed; it is never started, so that any image will do, also one that holds a single binary.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType, MountVolumeOptions};
use bollard::query_parameters::{CreateContainerOptions, DownloadFromContainerOptions};
use futures_util::StreamExt as _;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

use super::failure::is_missing;
use super::{Docker, files};
use crate::engine::labels;

const MOUNT: &str = "/khd-volume";
/// How long the engine may take between two pieces of a volume.
const PIECE: Duration = Duration::from_secs(60);
/// Tells apart helpers that this process makes at the same time.
static COUNTER: AtomicU32 = AtomicU32::new(0);

impl Docker {
    pub(super) async fn volume_copy(
        &self,
        project: &str,
        key: &str,
        image: &str,
        folder: &Path,
    ) -> anyhow::Result<Vec<PathBuf>> {
        let name = labels::object_name(project, key);
        let operation = format!("cannot read volume {name}");
        // Mounting one that is not there would make it.
        match self.client.inspect_volume(&name).await {
            Err(error) if is_missing(&error) => anyhow::bail!("{operation}: there is no such volume"),
            result => result.map_err(self.failed(&operation))?,
        };
        let reader = Reader {
            docker: self.clone(),
            project: project.to_owned(),
            volume: name,
            image: image.to_owned(),
            operation: operation.clone(),
        };
        let archive = tempfile::tempfile_in(folder).with_context(|| format!("cannot write to {}", folder.display()))?;
        // In a task of its own the helper is removed even when nobody waits for the answer any more.
        let archive = tokio::spawn(reader.read(archive)).await.context(operation.clone())??;
        let folder = folder.to_owned();
        tokio::task::spawn_blocking(move || files::unpack(archive, &folder))
            .await?
            .context(operation)
    }
}

struct Reader {
    docker: Docker,
    project: String,
    volume: String,
    image: String,
    operation: String,
}

impl Reader {
    /// Reads the volume into a file, as a tar.
    async fn read(self, archive: File) -> anyhow::Result<File> {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let helper = format!("{}-read-{}-{number}", self.volume, std::process::id());
        self.create(&helper).await?;
        let archive = self.archive(&helper, archive).await;
        let removed = self.docker.container_remove(&helper).await;
        let archive = archive?;
        removed?;
        Ok(archive)
    }

    async fn create(&self, helper: &str) -> anyhow::Result<()> {
        let body = ContainerCreateBody {
            image: Some(self.image.clone()),
            // Never run; an image without a command of its own is refused without one.
            cmd: Some(vec!["read-volume".into()]),
            labels: Some(
                [
                    (labels::PROJECT.to_owned(), self.project.clone()),
                    (labels::HELPER.to_owned(), "read-volume".to_owned()),
                ]
                .into(),
            ),
            host_config: Some(HostConfig {
                mounts: Some(vec![Mount {
                    typ: Some(MountType::VOLUME),
                    source: Some(self.volume.clone()),
                    target: Some(MOUNT.into()),
                    read_only: Some(true),
                    volume_options: Some(MountVolumeOptions {
                        no_copy: Some(true),
                        ..MountVolumeOptions::default()
                    }),
                    ..Mount::default()
                }]),
                network_mode: Some("none".into()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptions {
            name: Some(helper.to_owned()),
            ..CreateContainerOptions::default()
        };
        let created = self.docker.client.create_container(Some(options), body).await;
        created.map_err(self.docker.failed(&self.operation))?;
        Ok(())
    }

    async fn archive(&self, helper: &str, archive: File) -> anyhow::Result<File> {
        let options = DownloadFromContainerOptions { path: MOUNT.into() };
        let mut pieces = self.docker.client.download_from_container(helper, Some(options));
        let mut archive = tokio::fs::File::from_std(archive);
        loop {
            let piece = tokio::time::timeout(PIECE, pieces.next()).await;
            let Some(piece) = piece.map_err(|_| self.docker.too_late(&self.operation, PIECE))? else {
                break;
            };
            let piece = piece.map_err(self.docker.failed(&self.operation))?;
            archive.write_all(&piece).await.context(self.operation.clone())?;
        }
        archive.rewind().await.context(self.operation.clone())?;
        Ok(archive.into_std().await)
    }
}
