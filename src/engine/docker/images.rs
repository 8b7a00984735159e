//! Images: inspected, pulled, built by the classic builder, imported, tagged, removed.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bollard::errors::Error;
use bollard::models::{BuildInfo, CreateImageInfo};
use bollard::query_parameters::{BuildImageOptions, CreateImageOptions, RemoveImageOptions, TagImageOptions};
use bollard::{body_full, body_try_stream};
use futures_util::{Stream, StreamExt as _};

use super::Docker;
use super::failure::{is_missing, status};
use crate::engine::progress::note;
use crate::engine::{Build, Image, Progress};

/// How long the engine may be silent in a pull or an import.
const TRANSFER: Duration = Duration::from_secs(300);
/// How long a build may print nothing: a download within a step says nothing until it is done.
const BUILD: Duration = Duration::from_secs(900);
/// How many of the last lines of a failed build are shown.
const LAST_LINES: usize = 20;

impl Docker {
    pub(super) async fn image_inspect(&self, reference: &str) -> anyhow::Result<Option<Image>> {
        match self.client.inspect_image(reference).await {
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.failed(format_args!("cannot inspect image {reference}"))(error)),
            Ok(image) => Ok(Some(Image {
                id: image.id.unwrap_or_default(),
                size: image.size.unwrap_or_default().unsigned_abs(),
                labels: image
                    .config
                    .and_then(|config| config.labels)
                    .unwrap_or_default()
                    .into_iter()
                    .collect(),
            })),
        }
    }

    pub(super) async fn image_pull(&self, reference: &str, progress: &Progress) -> anyhow::Result<()> {
        let (repository, tag) = split(reference);
        let options = CreateImageOptions {
            from_image: Some(repository.to_owned()),
            tag: Some(tag.to_owned()),
            ..CreateImageOptions::default()
        };
        let client = self.client.clone().with_timeout(TRANSFER);
        let pull = client.create_image(Some(options), None, None);
        self.follow(
            format!("cannot pull image {reference}"),
            TRANSFER,
            pull,
            |info: CreateImageInfo| {
                let (Some(status), None) = (info.status, info.progress_detail.and_then(|detail| detail.current)) else {
                    return;
                };
                let layer = info.id.map(|id| format!("{id}: ")).unwrap_or_default();
                note(progress, reference, layer + &status);
            },
        )
        .await
    }

    pub(super) async fn image_build(&self, build: Build, progress: &Progress) -> anyhow::Result<()> {
        let options = BuildImageOptions {
            dockerfile: "Dockerfile".into(),
            t: Some(build.reference.clone()),
            rm: true,
            forcerm: true,
            buildargs: Some(build.args.into_iter().collect()),
            labels: Some(build.labels.into_iter().collect::<HashMap<_, _>>()),
            ..BuildImageOptions::default()
        };
        let client = self.client.clone().with_timeout(BUILD);
        let building = client.build_image(options, None, Some(body_full(build.context)));
        let mut last = VecDeque::new();
        let operation = format!("cannot build image {}", build.reference);
        let built = self.follow(operation, BUILD, building, |info: BuildInfo| {
            for line in info
                .stream
                .iter()
                .flat_map(|text| text.lines())
                .filter(|line| !line.trim().is_empty())
            {
                note(progress, &build.reference, line);
                if last.len() == LAST_LINES {
                    last.pop_front();
                }
                last.push_back(line.to_owned());
            }
        });
        let Err(error) = built.await else { return Ok(()) };
        if error.is::<crate::error::Expected>() || last.is_empty() {
            return Err(error);
        }
        let lines: Vec<String> = last.into_iter().map(|line| format!("  {line}")).collect();
        bail!("{error}; its last lines:\n{}", lines.join("\n"))
    }

    pub(super) async fn image_import(&self, reference: &str, root_file_system: &Path) -> anyhow::Result<()> {
        let operation = format!("cannot import image {reference}");
        let file = tokio::fs::File::open(root_file_system).await;
        let file = file.with_context(|| format!("{operation}: {}", root_file_system.display()))?;
        let (repository, tag) = split(reference);
        let options = CreateImageOptions {
            from_src: Some("-".into()),
            repo: Some(repository.to_owned()),
            tag: Some(tag.to_owned()),
            ..CreateImageOptions::default()
        };
        let body = body_try_stream(tokio_util::io::ReaderStream::new(file));
        let client = self.client.clone().with_timeout(TRANSFER);
        let import = client.create_image(Some(options), Some(body), None);
        self.follow(operation, TRANSFER, import, |_: CreateImageInfo| ()).await
    }

    pub(super) async fn image_tag(&self, image: &str, reference: &str) -> anyhow::Result<()> {
        let (repository, tag) = split(reference);
        let options = TagImageOptions {
            repo: Some(repository.to_owned()),
            tag: Some(tag.to_owned()),
        };
        let tagged = self.client.tag_image(image, Some(options)).await;
        tagged.map_err(self.failed(format_args!("cannot tag image {image} as {reference}")))
    }

    pub(super) async fn image_remove(&self, image: &str) -> anyhow::Result<bool> {
        match self.client.remove_image(image, None::<RemoveImageOptions>, None).await {
            Ok(_) => Ok(true),
            // A container or another image needs it.
            Err(error) if is_missing(&error) || status(&error) == Some(409) => Ok(false),
            Err(error) => Err(self.failed(format_args!("cannot remove image {image}"))(error)),
        }
    }

    /// Reads what long work says until it ends; silence longer than `patience` is a failure.
    async fn follow<T>(
        &self,
        operation: String,
        patience: Duration,
        saying: impl Stream<Item = Result<T, Error>>,
        mut hear: impl FnMut(T),
    ) -> anyhow::Result<()> {
        let mut saying = std::pin::pin!(saying);
        loop {
            let said = tokio::time::timeout(patience, saying.next()).await;
            match said.map_err(|_| self.too_late(&operation, patience))? {
                Some(said) => hear(said.map_err(self.failed(&operation))?),
                None => return Ok(()),
            }
        }
    }
}

/// Repository, and tag or digest; without either, Docker would pull all tags.
fn split(reference: &str) -> (&str, &str) {
    if let Some(parts) = reference.split_once('@') {
        return parts;
    }
    let name_at = reference.rfind('/').map_or(0, |at| at + 1);
    match reference[name_at..].rfind(':') {
        Some(at) => (&reference[..name_at + at], &reference[name_at + at + 1..]),
        None => (reference, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_split_at_its_tag_and_not_at_a_registrys_port() {
        assert_eq!(split("khd/kafka:3.9.2"), ("khd/kafka", "3.9.2"));
        assert_eq!(split("localhost:5000/kafka"), ("localhost:5000/kafka", "latest"));
        assert_eq!(split("localhost:5000/kafka:1"), ("localhost:5000/kafka", "1"));
        assert_eq!(split("debian@sha256:ab"), ("debian", "sha256:ab"));
    }
}
