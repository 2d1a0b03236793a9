//! The certificates and keys of one control plane: made at its start, of no worth after its end.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use super::folder::write_private;

/// Certificates in PEM, and the files of those that the programs read.
pub(super) struct Certificates {
    /// The authority's certificate.
    pub(super) ca: String,
    /// The administrator's certificate and private key.
    pub(super) admin: (String, String),
    pub(super) ca_file: PathBuf,
    pub(super) server_certificate_file: PathBuf,
    pub(super) server_key_file: PathBuf,
    /// Signs service-account tokens.
    pub(super) service_account_key_file: PathBuf,
    /// Verifies service-account tokens.
    pub(super) service_account_public_key_file: PathBuf,
}

impl Certificates {
    /// Makes all of them and writes the files into `dir`.
    pub(super) fn generate(dir: &Path) -> anyhow::Result<Self> {
        let ca = authority()?;
        let server = server(&ca)?;
        let service_account = KeyPair::generate()?;
        let write = |name: &str, content: &str| {
            let path = dir.join(name);
            write_private(&path, content).map(|()| path)
        };
        Ok(Self {
            ca_file: write("ca.pem", &ca.pem())?,
            server_certificate_file: write("server.pem", &server.0)?,
            server_key_file: write("server-key.pem", &server.1)?,
            service_account_key_file: write("service-account-key.pem", &service_account.serialize_pem())?,
            service_account_public_key_file: write("service-account.pem", &service_account.public_key_pem())?,
            admin: administrator(&ca)?,
            ca: ca.pem(),
        })
    }
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> anyhow::Result<Authority> {
    let mut params = named("authly-tests");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn server(ca: &Authority) -> anyhow::Result<(String, String)> {
    let mut params = named("kube-apiserver");
    params.subject_alt_names =
        CertificateParams::new(["127.0.0.1".to_owned(), "kubernetes.default.svc".to_owned()])?.subject_alt_names;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    issue(params, ca)
}

/// The API server lets the group `system:masters` do everything, whatever RBAC says.
fn administrator(ca: &Authority) -> anyhow::Result<(String, String)> {
    let mut params = named("admin");
    params.distinguished_name.push(DnType::OrganizationName, "system:masters");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    issue(params, ca)
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn issue(params: CertificateParams, ca: &Authority) -> anyhow::Result<(String, String)> {
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, ca)?.pem(), key.serialize_pem()))
}
