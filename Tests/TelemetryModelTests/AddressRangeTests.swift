import TelemetryModel
import Testing

struct AddressRangeTests {
    @Test(arguments: [
        ("10.0.0.0/8", "10.255.1.2", true), ("10.0.0.0/8", "11.0.0.1", false), ("192.0.2.7", "192.0.2.7", true),
        ("192.0.2.7", "192.0.2.8", false), ("192.0.2.4/30", "192.0.2.7", true), ("192.0.2.4/30", "192.0.2.8", false),
        ("0.0.0.0/0", "203.0.113.9", true), ("0.0.0.0/0", "2001:db8::1", false), ("2001:db8::/32", "2001:db8:ffff::1", true),
        ("2001:db8::/32", "2001:db9::1", false), ("::1", "::1", true), ("fe80::1", "fe80::1%eth0", true),
        // A listener of both kinds sees IPv4 as IPv6 maps it.
        ("192.0.2.0/24", "::ffff:192.0.2.9", true), ("192.0.2.0/24", "::ffff:192.0.3.9", false),
        ("192.0.2.7", "local", false), ("192.0.2.7", "", false),
    ])
    func aRangeHoldsTheAddressesThatBeginWithItsBits(range: String, address: String, isIn: Bool) throws {
        #expect(try #require(AddressRange(range)).contains(address) == isIn)
    }

    @Test(arguments: ["", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+1", "10.0.0/8", "::/129", "10.0.0.0/8/8", "localhost", "10.0.0.256"])
    func whatIsNoRangeIsRefused(text: String) { #expect(AddressRange(text) == nil) }
}
