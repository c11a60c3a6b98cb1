//! Under which addresses a host is reached.

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

use super::Interface;

/// The addresses of all devices, in the kernel's order, those of the loopback left out.
pub(super) fn all() -> nix::Result<Vec<Interface>> {
    let addresses = getifaddrs()?.filter(|it| !it.flags.contains(InterfaceFlags::IFF_LOOPBACK));
    Ok(addresses
        .filter_map(|it| {
            let address = it.address?.as_sockaddr_in()?.ip();
            let mask = it.netmask?.as_sockaddr_in()?.ip();
            let prefix = u8::try_from(u32::from(mask).leading_ones()).expect("an address has 32 bits");
            Some(Interface { name: it.interface_name, address, prefix })
        })
        .collect())
}
