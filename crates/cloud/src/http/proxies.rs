//! `NO_PROXY` entries that name a port, such as `s3.internal:9000`.
//!
//! The HTTP client reads the proxy variables itself and knows entries of hosts, suffixes and
//! networks, but no ports; curl, Go and Python know them. Always true: only what has a port is
//! judged here, and only towards going without a proxy.

use http::Uri;

/// The entries with ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NoProxyPorts {
    entries: Vec<(String, u16)>,
}

impl NoProxyPorts {
    /// As the process's environment has them, which is where the HTTP client looks, too.
    pub(crate) fn gather() -> NoProxyPorts {
        let value = std::env::var("no_proxy").or_else(|_| std::env::var("NO_PROXY"));
        NoProxyPorts::parse(&value.unwrap_or_default())
    }

    fn parse(text: &str) -> NoProxyPorts {
        let entries = text.split([',', ' ']).filter_map(|entry| {
            let (host, port) = entry.trim().rsplit_once(':')?;
            // What has more colons is an IPv6 address, unless it stands in brackets.
            if host.contains(':') && !host.ends_with(']') {
                return None;
            }
            let host = host.trim_start_matches("*.").trim_start_matches('.');
            Some((host.to_ascii_lowercase(), port.parse().ok()?))
        });
        NoProxyPorts {
            entries: entries.filter(|(host, _)| !host.is_empty()).collect(),
        }
    }

    /// Whether an entry names the address, or a domain that it is in.
    pub(crate) fn names(&self, uri: &Uri) -> bool {
        let Some(host) = uri.host() else {
            return false;
        };
        let usual = match uri.scheme_str() {
            Some("http") => 80,
            _ => 443,
        };
        let (host, port) = (host.to_ascii_lowercase(), uri.port_u16().unwrap_or(usual));
        self.entries.iter().any(|(entry, of_port)| {
            let rest = host.strip_suffix(entry.as_str());
            *of_port == port && rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_with_a_port_is_for_that_port_and_the_hosts_of_its_domain() {
        let ports =
            NoProxyPorts::parse("localhost, s3.internal:9000,.corp:443 *.x.org:80,[::1]:81");
        for (uri, expected) in [
            ("http://s3.internal:9000/b", true),
            ("http://S3.Internal:9000/b", true),
            ("http://bucket.s3.internal:9000/b", true),
            ("http://s3.internal:9001/b", false),
            ("http://s3.internal/b", false),
            ("http://nots3.internal:9000/b", false),
            ("https://a.corp/b", true),
            ("http://a.corp/b", false),
            ("http://a.x.org/b", true),
            ("http://[::1]:81/", true),
            ("http://localhost/", false),
        ] {
            assert_eq!(ports.names(&uri.parse().unwrap()), expected, "{uri}");
        }
        assert_eq!(
            NoProxyPorts::parse("::1, fe80::1:9000, x:y, :80"),
            NoProxyPorts::default()
        );
    }
}
