//! Which provider a server is, as the conventions for generative AI name it, where its address says so.

/// Whose API this library speaks: what is said of a server that its address does not tell.
pub(crate) const OPENAI: &str = "openai";

/// The hosts at which a provider of the conventions serves an API that this library can be pointed at, as its documentation says.
///
/// A name with a dot in front stands for all below it. A proxy, a gateway and a server of one's own are not here: who is behind one only its
/// owner knows.
#[cfg(feature = "http")]
const HOSTS: [(&str, &str); 15] = [
    ("api.openai.com", OPENAI),
    (".api.openai.com", OPENAI),
    (".openai.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    (".models.ai.azure.com", "azure.ai.inference"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("api.anthropic.com", "anthropic"),
    ("api.cohere.ai", "cohere"),
    ("api.perplexity.ai", "perplexity"),
    ("api.x.ai", "x_ai"),
    ("api.deepseek.com", "deepseek"),
    ("api.groq.com", "groq"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.moonshot.ai", "moonshot_ai"),
];

/// Names the provider at an address, which is a host with its port.
#[cfg(feature = "http")]
pub(crate) fn provider_at(host_port: &str) -> &'static str {
    let (host, _) = host_port.rsplit_once(':').unwrap_or((host_port, ""));
    let host = host.to_ascii_lowercase();
    let is_it = |known: &str| match known.strip_prefix('.') {
        Some(_) => host.ends_with(known),
        // Google puts the region before the name, with a hyphen.
        None => host == known || (known.starts_with("aiplatform.") && is_regional(&host, known)),
    };
    let found = HOSTS.iter().find(|(known, _)| is_it(known));
    found.map_or(OPENAI, |(_, provider)| provider)
}

/// Whether a host is a name with a region before it: `europe-west4-aiplatform.googleapis.com`.
#[cfg(feature = "http")]
fn is_regional(host: &str, name: &str) -> bool {
    let region = host.strip_suffix(name);
    region.is_some_and(|region| region.ends_with('-') && !region.contains('.'))
}

#[cfg(all(test, feature = "http"))]
mod tests {
    use super::*;

    #[test]
    fn provider_is_named_by_hosts_that_are_documented_and_no_others() {
        for (host_port, expected) in [
            ("api.openai.com:443", "openai"),
            ("eu.api.openai.com:443", "openai"),
            ("ours.openai.azure.com:443", "azure.ai.openai"),
            ("OURS.OpenAI.Azure.com:443", "azure.ai.openai"),
            ("generativelanguage.googleapis.com:443", "gcp.gemini"),
            (
                "europe-west4-aiplatform.googleapis.com:443",
                "gcp.vertex_ai",
            ),
            ("api.groq.com:443", "groq"),
            // A proxy, a server of one's own, and what only looks like a provider.
            ("127.0.0.1:8000", "openai"),
            ("[::1]:8000", "openai"),
            ("groq.example:443", "openai"),
            ("api.groq.com.example:443", "openai"),
            ("openai.azure.com.example:443", "openai"),
            ("evil.example-aiplatform.googleapis.com:443", "openai"),
        ] {
            assert_eq!(provider_at(host_port), expected, "{host_port}");
        }
    }
}
