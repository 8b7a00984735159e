//! khd: Kafka HA drills.

fn main() -> std::process::ExitCode {
    khd::cli::main()
}
