//! Command-line arguments. Every flag can be given as an environment variable `AUTHLY_…`; a variable of that
//! prefix that no flag knows is refused, so that a typing error never falls back to a default in silence.

use std::{net::SocketAddr, path::PathBuf};

use authly_model::{
    duration::{BadDuration, Seconds},
    rotation::{DEFAULT_JWKS_MAX_AGE, MAX_JWKS_MAX_AGE},
    seal::Anchor,
};
use clap::{Args, CommandFactory, Parser, Subcommand};
use ipnet::IpNet;

use crate::commands::audit::public_key;

/// OAuth 2.1 and signed URLs for multi-tenant SaaS, declared with kubectl.
#[derive(Debug, Parser)]
#[command(name = "authly", version, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Everything in one process, from a folder of manifests, with a PostgreSQL of its own
    Dev(Dev),
    /// Print what `kubectl get` would, asking the running `authly dev`
    Get(Get),
    /// The OAuth server and the URL signing API
    Server(Server),
    /// Redeem signed URLs: reverse proxy and forward-auth
    Gateway(Gateway),
    /// Reconcile custom resources into PostgreSQL
    Operator(Operator),
    /// Create or update schema and roles; the only command with the owner's credentials
    Migrate(Migrate),
    /// Print the CustomResourceDefinitions as YAML
    Crds,
    /// The audit trail
    #[command(subcommand)]
    Audit(Audit),
    /// What an administrator does by hand
    #[command(subcommand)]
    Admin(Admin),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// Wrap every tenant's data key by the active platform key, so that the one before can go; may be stopped and run again
    Rewrap(Rewrap),
    /// After a restore: refuse every counted URL issued so far, and have all replicas load everything anew
    RaiseStoreEpoch(RaiseStoreEpoch),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Check every chain and every seal; exit code 3 if something is wrong
    Verify(AuditVerify),
}

/// How to reach PostgreSQL.
#[derive(Debug, Clone, Args)]
pub(crate) struct Database {
    /// postgres://USER@HOST:PORT/DATABASE, with or without the password
    #[arg(long, env = "AUTHLY_DATABASE_URL")]
    pub(crate) database_url: String,
    /// The password, where the URL has none
    #[arg(long, env = "AUTHLY_DATABASE_PASSWORD", hide_env_values = true)]
    pub(crate) database_password: Option<String>,
}

/// Where logs and health go.
#[derive(Debug, Clone, Args)]
pub(crate) struct Telemetry {
    /// json or text
    #[arg(long, env = "AUTHLY_LOG_FORMAT", default_value = "json", value_parser = ["json", "text"])]
    pub(crate) log_format: String,
    /// error, warn, info, debug or trace, or a filter such as info,authly_store=debug
    #[arg(long, env = "AUTHLY_LOG_LEVEL", default_value = "info")]
    pub(crate) log_level: String,
}

/// The key that unwraps every tenant's keys.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Kek {
    /// A file with 32 bytes, raw, as 64 hexadecimal digits or as base64
    #[arg(long, env = "AUTHLY_KEK_FILE")]
    pub(crate) kek_file: Option<PathBuf>,
    /// The key itself, as hexadecimal digits or base64
    #[arg(long, env = "AUTHLY_KEK", hide_env_values = true)]
    pub(crate) kek: Option<String>,
}

/// The platform keys of a process.
#[derive(Debug, Clone, Args)]
pub(crate) struct Keks {
    #[command(flatten)]
    pub(crate) active: Kek,
    /// Files of further keys, which only unwrap: the one to come, then the one before, while keys are wrapped anew
    #[arg(long, env = "AUTHLY_FURTHER_KEK_FILE", value_delimiter = ',')]
    pub(crate) further_kek_file: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    pub(crate) database: Database,
    /// Password of the login role <database>_server_login; a role without a password here is left as it is
    #[arg(long, env = "AUTHLY_SERVER_PASSWORD", hide_env_values = true)]
    pub(crate) server_password: Option<String>,
    /// Password of the login role <database>_gateway_login
    #[arg(long, env = "AUTHLY_GATEWAY_PASSWORD", hide_env_values = true)]
    pub(crate) gateway_password: Option<String>,
    /// Password of the login role <database>_operator_login
    #[arg(long, env = "AUTHLY_OPERATOR_PASSWORD", hide_env_values = true)]
    pub(crate) operator_password: Option<String>,
    /// Password of the login role <database>_jobs_login
    #[arg(long, env = "AUTHLY_JOBS_PASSWORD", hide_env_values = true)]
    pub(crate) jobs_password: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Server {
    #[command(flatten)]
    pub(crate) database: Database,
    #[command(flatten)]
    pub(crate) keks: Keks,
    #[command(flatten)]
    pub(crate) telemetry: Telemetry,
    /// Where the public endpoints listen
    #[arg(long, env = "AUTHLY_LISTEN", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Where /healthz, /readyz and /metrics listen
    #[arg(long, env = "AUTHLY_MANAGEMENT_LISTEN", default_value = "127.0.0.1:9090")]
    pub(crate) management_listen: SocketAddr,
    /// The database again, as the login role of jobs; without it this replica runs no jobs
    #[arg(long, env = "AUTHLY_JOBS_DATABASE_URL")]
    pub(crate) jobs_database_url: Option<String>,
    /// The password for it, where the URL has none
    #[arg(long, env = "AUTHLY_JOBS_DATABASE_PASSWORD", hide_env_values = true)]
    pub(crate) jobs_database_password: Option<String>,
    /// Networks whose X-Forwarded-For is believed
    #[arg(long, env = "AUTHLY_TRUSTED_PROXY", value_delimiter = ',')]
    pub(crate) trusted_proxy: Vec<IpNet>,
    #[command(flatten)]
    pub(crate) jwks: Jwks,
}

/// What servers promise to verifiers, and what the operator waits for.
#[derive(Debug, Clone, Args)]
pub(crate) struct Jwks {
    /// How long a verifier may keep a JWKS, such as 5m: the same for servers and operator; a key rotation takes twice as long
    #[arg(long, env = "AUTHLY_JWKS_MAX_AGE", default_value_t = DEFAULT_JWKS_MAX_AGE, value_parser = max_age)]
    pub(crate) jwks_max_age: Seconds,
}

fn max_age(text: &str) -> Result<Seconds, String> {
    let seconds: Seconds = text.parse().map_err(|error: BadDuration| error.to_string())?;
    if (1..=MAX_JWKS_MAX_AGE.0).contains(&seconds.0) {
        return Ok(seconds);
    }
    Err(format!("`{text}` is out of bounds: at least 1s and at most {MAX_JWKS_MAX_AGE}"))
}

#[derive(Debug, Args)]
pub(crate) struct Gateway {
    #[command(flatten)]
    pub(crate) database: Database,
    #[command(flatten)]
    pub(crate) telemetry: Telemetry,
    /// Where signed URLs are redeemed
    #[arg(long, env = "AUTHLY_LISTEN", default_value = "127.0.0.1:8081")]
    pub(crate) listen: SocketAddr,
    /// Where /healthz, /readyz and /metrics listen
    #[arg(long, env = "AUTHLY_MANAGEMENT_LISTEN", default_value = "127.0.0.1:9091")]
    pub(crate) management_listen: SocketAddr,
    /// Networks whose X-Forwarded-For is believed
    #[arg(long, env = "AUTHLY_TRUSTED_PROXY", value_delimiter = ',')]
    pub(crate) trusted_proxy: Vec<IpNet>,
    /// Networks of proxies that may ask /forward-auth
    #[arg(long, env = "AUTHLY_FORWARD_AUTH_PEER", value_delimiter = ',')]
    pub(crate) forward_auth_peer: Vec<IpNet>,
    /// NAMESPACE/NAME=URL or =FOLDER: where a Service is, instead of http://NAME.NAMESPACE.svc:PORT
    #[arg(long, env = "AUTHLY_SERVICE", value_delimiter = ',', value_name = "NAMESPACE/NAME=URL|DIR")]
    pub(crate) service: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Operator {
    #[command(flatten)]
    pub(crate) database: Database,
    #[command(flatten)]
    pub(crate) keks: Keks,
    #[command(flatten)]
    pub(crate) telemetry: Telemetry,
    /// Where /healthz, /readyz and /metrics listen
    #[arg(long, env = "AUTHLY_MANAGEMENT_LISTEN", default_value = "127.0.0.1:9092")]
    pub(crate) management_listen: SocketAddr,
    /// The issuer of a Tenant without spec.issuer is this URL, then /t/, then its name
    #[arg(long, env = "AUTHLY_ISSUER_BASE")]
    pub(crate) issuer_base: String,
    /// The installation that this operator reconciles
    #[arg(long, env = "AUTHLY_INSTALLATION", default_value = "default")]
    pub(crate) installation: String,
    /// The namespace of the leader Lease
    #[arg(long, env = "AUTHLY_LEASE_NAMESPACE", default_value = "authly")]
    pub(crate) lease_namespace: String,
    /// The name of the leader Lease
    #[arg(long, env = "AUTHLY_LEASE_NAME", default_value = "authly-operator")]
    pub(crate) lease_name: String,
    #[command(flatten)]
    pub(crate) jwks: Jwks,
}

#[derive(Debug, Args)]
pub(crate) struct Rewrap {
    /// The database as the login role of the operator
    #[command(flatten)]
    pub(crate) database: Database,
    #[command(flatten)]
    pub(crate) keks: Keks,
}

#[derive(Debug, Args)]
pub(crate) struct AuditVerify {
    /// The database, as the login role of jobs; nothing is written
    #[arg(long, env = "AUTHLY_JOBS_DATABASE_URL", hide_env_values = true)]
    pub(crate) jobs_database_url: String,
    /// The password for it, where the URL has none
    #[arg(long, env = "AUTHLY_JOBS_DATABASE_PASSWORD", hide_env_values = true)]
    pub(crate) jobs_database_password: Option<String>,
    /// A seal that an earlier run printed: everything up to it must still be there
    #[arg(long, value_name = "SEAL")]
    pub(crate) anchor: Option<Anchor>,
    /// The public key that every seal must be signed with, as an earlier run printed it
    #[arg(long, value_name = "KEY", value_parser = public_key)]
    pub(crate) sealing_key: Option<[u8; 32]>,
    /// json instead of text
    #[arg(short, long, value_parser = ["json"])]
    pub(crate) output: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RaiseStoreEpoch {
    /// The database, as the login role of jobs
    #[arg(long, env = "AUTHLY_JOBS_DATABASE_URL", hide_env_values = true)]
    pub(crate) jobs_database_url: String,
    /// The password for it, where the URL has none
    #[arg(long, env = "AUTHLY_JOBS_DATABASE_PASSWORD", hide_env_values = true)]
    pub(crate) jobs_database_password: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// The folder with the manifests
    #[arg(default_value = "examples/quickstart")]
    pub(crate) folder: PathBuf,
    /// An existing PostgreSQL, as a user that may create roles; without it one is fetched and started
    #[arg(long, env = "AUTHLY_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// Where everything is kept
    #[arg(long, env = "AUTHLY_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where the server listens
    #[arg(long, env = "AUTHLY_LISTEN", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Where the gateway listens
    #[arg(long, env = "AUTHLY_GATEWAY_LISTEN", default_value = "127.0.0.1:8081")]
    pub(crate) gateway_listen: SocketAddr,
    /// NAMESPACE/NAME=URL or =FOLDER: where a Service is; any other answers from a folder with sample files
    #[arg(long, env = "AUTHLY_SERVICE", value_delimiter = ',', value_name = "NAMESPACE/NAME=URL|DIR")]
    pub(crate) service: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// tenants, clients, routes, policies, retentions, or all
    #[arg(default_value = "all")]
    pub(crate) kind: String,
    /// The data folder of the running `authly dev`
    #[arg(long, env = "AUTHLY_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Adds the columns MESSAGE and REVISION
    #[arg(short, long, value_parser = ["wide"])]
    pub(crate) output: Option<String>,
}

/// Refuses an `AUTHLY_*` variable that no flag of any command reads.
pub(crate) fn refuse_unknown_environment() -> anyhow::Result<()> {
    let command = Arguments::command();
    let arguments = command.get_subcommands().flat_map(clap::Command::get_arguments);
    let known: Vec<&str> = arguments.filter_map(|argument| argument.get_env()?.to_str()).collect();
    Ok(authly_runtime::config::refuse_unknown_environment(&known)?)
}
