//! What would keep a lab from coming up, found before anything is created, and all of it at once.
//!
//! [`check`] asks the engine and this machine; `judge` holds the answers against the Compose file (pure).

mod judge;

use std::net::{SocketAddr, TcpListener};

use super::{Engine, EngineInfo, Project, PublishedPort, TakenSubnet, images};
use crate::compose::model::ComposeFile;
use crate::error::Expected;

/// Something that keeps, or may keep, a lab from coming up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What the user can do about it.
    pub hint: String,
}

/// What engine and machine answered.
struct Facts {
    info: EngineInfo,
    project: Project,
    subnets: Vec<TakenSubnet>,
    published: Vec<PublishedPort>,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Findings {
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

/// Checks that ports and subnet are free, that memory and disk suffice, and that images can be obtained.
///
/// Gives what may go well all the same. A lab that is there already is no obstacle to itself.
///
/// # Errors
/// One [`Expected`] failure of the environment that names every obstacle, or that of an engine that is gone.
pub async fn check(engine: &dyn Engine, file: &ComposeFile) -> anyhow::Result<Vec<Problem>> {
    let references: Vec<String> = images::needed(file).into_keys().collect();
    let (info, project, subnets, published, obstacles) = tokio::join!(
        engine.info(),
        engine.project(&file.name),
        engine.subnets(),
        engine.published(),
        images::obstacles(engine, &references)
    );
    let facts = Facts {
        info: info?,
        project: project?,
        subnets: subnets?,
        published: published?,
    };
    let mut found = judge::judge(file, &facts, is_free)?;
    found.errors.extend(obstacles?.into_iter().map(|obstacle| Problem {
        message: obstacle.message,
        hint: obstacle.hint.unwrap_or_default(),
    }));
    match refusal(found.errors) {
        Some(refusal) => Err(refusal.into()),
        None => Ok(found.warnings),
    }
}

/// Whether a port of this machine can be bound. Only one that is known to be taken counts as taken.
fn is_free(address: SocketAddr) -> bool {
    let refused = TcpListener::bind(address).err();
    refused.is_none_or(|error| error.kind() != std::io::ErrorKind::AddrInUse)
}

/// All obstacles as one failure.
fn refusal(mut errors: Vec<Problem>) -> Option<Expected> {
    if errors.len() <= 1 {
        let only = errors.pop()?;
        return Some(Expected::environment(only.message).hint(only.hint));
    }
    let lines: Vec<String> = errors
        .iter()
        .map(|p| format!("- {}\n  ({})", p.message, p.hint))
        .collect();
    let count = errors.len();
    Some(Expected::environment(format!(
        "the lab cannot come up for {count} reasons:\n{}",
        lines.join("\n")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::FakeEngine;
    use crate::engine::samples;

    fn problem(number: u32) -> Problem {
        Problem {
            message: format!("message {number}"),
            hint: format!("hint {number}"),
        }
    }

    #[test]
    fn one_obstacle_is_told_plainly_and_several_are_told_together() {
        assert!(refusal(Vec::new()).is_none());
        let one = refusal(vec![problem(1)]).unwrap();
        assert_eq!(
            (one.message.as_str(), one.hint.as_deref()),
            ("message 1", Some("hint 1"))
        );
        let two = refusal(vec![problem(1), problem(2)]).unwrap();
        let expected = "the lab cannot come up for 2 reasons:\n- message 1\n  (hint 1)\n- message 2\n  (hint 2)";
        assert_eq!(two.message, expected);
    }

    #[test]
    fn a_port_that_is_listened_on_is_not_free() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(!is_free(address));
        drop(listener);
        assert!(is_free(address));
    }

    #[tokio::test]
    async fn an_empty_engine_is_no_obstacle_and_a_dead_one_is() {
        let file = samples::lab();
        let engine = FakeEngine::with_images(&file);
        assert_eq!(check(&engine, &file).await.unwrap(), []);
        engine.die();
        assert!(check(&engine, &file).await.unwrap_err().is::<Expected>());
    }

    #[tokio::test]
    async fn an_image_that_nobody_can_make_is_an_obstacle() {
        let mut file = samples::lab();
        file.services["kafka1"].image = "khd/kafka:0.0.1".into();
        let error = check(&FakeEngine::new(), &file).await.unwrap_err();
        assert!(error.to_string().contains("khd/kafka:0.0.1"), "{error}");
    }
}
