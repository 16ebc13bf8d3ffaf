package vaultapi

import "net/netip"

// Networks reads a list of networks in CIDR, or of addresses, each the network
// of itself.
func (p *Params) Networks(name string) (list []netip.Prefix) {
	for _, text := range p.StringList(name) {
		n, err := netip.ParsePrefix(text)
		if addr, is := netip.ParseAddr(text); is == nil {
			n, err = addr.Unmap().WithZone("").Prefix(addr.Unmap().BitLen())
		}
		if err != nil {
			p.Fail(name, "%q is neither an address nor a network", text)
			return nil
		}
		list = append(list, n.Masked())
	}
	return list
}
