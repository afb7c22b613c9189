//! The lab's own certificate authority and the certificates it signs. Made anew for every lab.

use std::net::{IpAddr, Ipv4Addr};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::node::{agents::NODE, machine};

/// A certificate and its private key, PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// Everything signed for one lab.
pub struct Pki {
    /// The authority's certificate, PEM: what a client must trust.
    pub ca: String,
    /// kube-apiserver's serving certificate, for loopback names and addresses.
    pub apiserver: Identity,
    /// A client certificate of group `system:masters`.
    pub admin: Identity,
    /// A client certificate of the kubelet of [`crate::node`].
    pub kubelet: Identity,
    /// The key pair that signs service account tokens: `certificate` holds the public key.
    pub service_accounts: Identity,
    /// The router's certificate for `*.{domain}` and `{domain}`.
    pub router: Identity,
}

impl Pki {
    /// Makes an authority and signs everything the lab with this ingress domain needs.
    ///
    /// # Errors
    /// When `domain` cannot stand in a certificate.
    pub fn new(domain: &str) -> Result<Self, rcgen::Error> {
        let mut params = named("tenant lab authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        let mut apiserver = named("kube-apiserver");
        apiserver.subject_alt_names = vec![
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            // the host as a node sees it, and the first address of Services
            SanType::IpAddress(IpAddr::V4(machine::HOST)),
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1))),
            SanType::DnsName("localhost".try_into()?),
            SanType::DnsName("kubernetes.default.svc".try_into()?),
        ];
        apiserver.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];

        let mut admin = named("lab-admin");
        admin.distinguished_name.push(DnType::OrganizationName, "system:masters");
        admin.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];

        let mut kubelet = named(&format!("system:node:{NODE}"));
        kubelet.distinguished_name.push(DnType::OrganizationName, "system:nodes");
        kubelet.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];

        let mut router = named(domain);
        router.subject_alt_names =
            vec![SanType::DnsName(format!("*.{domain}").try_into()?), SanType::DnsName(domain.try_into()?)];
        router.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];

        let service_accounts = KeyPair::generate()?;
        Ok(Self {
            ca: authority.pem(),
            apiserver: signed(&apiserver, &authority)?,
            admin: signed(&admin, &authority)?,
            kubelet: signed(&kubelet, &authority)?,
            service_accounts: Identity {
                certificate: service_accounts.public_key_pem(),
                key: service_accounts.serialize_pem(),
            },
            router: signed(&router, &authority)?,
        })
    }
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.use_authority_key_identifier_extension = true;
    params
}

fn signed(
    params: &CertificateParams,
    authority: &CertifiedIssuer<'_, KeyPair>,
) -> Result<Identity, rcgen::Error> {
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?;
    Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
}
