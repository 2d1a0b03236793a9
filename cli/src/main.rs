//! The `authly` binary: arguments, wiring, dev mode. Each role is a crate of its own; nothing is decided here.

mod args;
mod commands;
mod connect;
mod dev;
mod job_metrics;
mod serving;
mod tables;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Audit, Command};

/// The system's allocator took a sixth of this process's time for a token (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(error) = args::refuse_unknown_environment() {
        terminal::progress(format_args!("authly: {error}"));
        return ExitCode::from(2);
    }
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            terminal::progress(format_args!("authly: {}", explained(&error)));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, without those that the text before them tells already.
fn explained(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told {
        told if told.is_empty() => cause,
        told if told.contains(&cause) => told,
        told => format!("{told}: {cause}"),
    })
}

/// On one core a scheduler for several only costs.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let one_core = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    let mut builder = match one_core {
        true => tokio::runtime::Builder::new_current_thread(),
        false => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().build()
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(async {
        let done = match arguments.command {
            Command::Audit(Audit::Verify(options)) => return commands::audit::verify(options).await,
            Command::Admin(options) => commands::admin::run(options).await,
            Command::Crds => commands::crds::run(),
            Command::Migrate(options) => commands::migrate::run(options).await,
            Command::Server(options) => commands::server::run(options).await,
            Command::Gateway(options) => commands::gateway::run(options).await,
            Command::Operator(options) => commands::operator::run(options).await,
            Command::Dev(options) => dev::run(options).await,
            Command::Get(options) => dev::get::run(options).await,
        };
        done.map(|()| ExitCode::SUCCESS)
    })
}
