//! Whether the cluster's hosts can be reached: their names resolve, their router answers, its certificate is
//! trusted.

use tenant_workflow::step::Failure;

use super::{Finding, Patient};
use crate::services::{Trouble, web};

const CHECK: &str = "ingress";

pub(super) async fn check(patient: &Patient) -> Vec<Finding> {
    let Some(domain) = &patient.domain else {
        return vec![Finding::problem(
            CHECK,
            Failure::Usage,
            "the domain of the cluster's hosts is not known",
            "set openshift_cluster_ingress_domain, such as apps.example.com",
        )];
    };
    // nobody has this host: whatever answers for it is the router itself
    let base = format!("https://tenant-doctor.{domain}");
    match web::answers(&patient.web.routed("the router", &base), "/").await {
        Ok(status) => vec![Finding::good(CHECK, format!("hosts of {domain} are answered (status {status})"))],
        Err(error) => vec![unreachable(domain, &error.trouble)],
    }
}

fn unreachable(domain: &str, trouble: &Trouble) -> Finding {
    let text = trouble.to_string();
    let lower = text.to_ascii_lowercase();
    let remedy = if ["dns", "lookup", "name or service"].iter().any(|word| lower.contains(word)) {
        format!(
            "is there a DNS entry for *.{domain}? Where it is not visible: --ingress-address ADDRESS:PORT"
        )
    } else if lower.contains("certificate") || lower.contains("issuer") {
        "trust the router's authority with --ingress-ca FILE".to_owned()
    } else {
        format!("can this machine reach the hosts of {domain}? Else: --ingress-address ADDRESS:PORT")
    };
    Finding::problem(CHECK, Failure::Service, format!("hosts of {domain} are not reached: {text}"), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_fits_the_trouble() {
        for (text, remedy) in [
            (
                "failed to lookup address information: Name or service not known",
                "DNS entry for *.apps.x.test",
            ),
            ("invalid peer certificate: UnknownIssuer", "--ingress-ca"),
            ("Connection refused (os error 111)", "--ingress-address"),
        ] {
            let found = unreachable("apps.x.test", &Trouble::Unreachable(text.to_owned()));
            assert!(found.remedy.as_deref().unwrap().contains(remedy), "{found:?}");
            assert_eq!(found.failure(), Some(Failure::Service));
        }
    }
}
