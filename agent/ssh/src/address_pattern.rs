//! The pattern list of `from="…"`: addresses, networks, wildcards, negations.
//!
//! Names are not resolved: a pattern that names a host matches nothing, as in OpenSSH without `UseDNS`.

use std::net::IpAddr;

/// Whether `address` is allowed by a comma-separated pattern list: one pattern takes it, and no negated one does.
pub fn allows(list: &str, address: IpAddr) -> bool {
    let address = address.to_canonical();
    let mut allowed = false;
    for pattern in list.split(',').map(str::trim).filter(|pattern| !pattern.is_empty()) {
        match pattern.strip_prefix('!') {
            Some(negated) if takes(negated, address) => return false,
            Some(_) => {}
            None => allowed |= takes(pattern, address),
        }
    }
    allowed
}

fn takes(pattern: &str, address: IpAddr) -> bool {
    match pattern.split_once('/') {
        Some((network, length)) => match (network.parse(), length.parse()) {
            (Ok(network), Ok(length)) => in_network(network, length, address),
            _ => false,
        },
        None => match pattern.parse::<IpAddr>() {
            Ok(exact) => exact.to_canonical() == address,
            Err(_) => wildcard(pattern.as_bytes(), address.to_string().as_bytes()),
        },
    }
}

fn in_network(network: IpAddr, length: u32, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) if length <= 32 => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) if length <= 128 => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        _ => false,
    }
}

/// `*` takes any run of characters, `?` any one. Linear in the product of both lengths at worst.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&wanted) if wanted == b'?' || text.get(t) == Some(&wanted) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|&byte| byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_lists() {
        for (list, address, expected) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("10.0.0.0/8", "10.9.8.7", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("fe80::/10", "fe80::1", true),
            ("10.0.0.*", "10.0.0.77", true),
            ("10.0.0.?", "10.0.0.77", false),
            ("10.0.0.0/8,!10.0.0.5", "10.0.0.5", false),
            ("!10.0.0.5", "10.0.0.6", false),
            ("home.example", "10.0.0.6", false),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("*", "10.0.0.6", true),
            ("", "10.0.0.6", false),
        ] {
            assert_eq!(allows(list, address.parse().unwrap()), expected, "{list} {address}");
        }
    }
}
