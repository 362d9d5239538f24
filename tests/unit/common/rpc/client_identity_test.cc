#include "common/rpc/client_identity.h"

#include <gtest/gtest.h>

namespace automot::rpc {
namespace {

TEST(ClientIdentityTest, ConnectionsOfOneHostAreOneClientWhateverTheirPorts) {
  EXPECT_EQ(ClientIdentityOfPeer("ipv4:192.0.2.7:40112"), "host:192.0.2.7");
  EXPECT_EQ(ClientIdentityOfPeer("ipv4:192.0.2.7:40112"),
            ClientIdentityOfPeer("ipv4:192.0.2.7:40113"));
  EXPECT_NE(ClientIdentityOfPeer("ipv4:192.0.2.7:1"), ClientIdentityOfPeer("ipv4:192.0.2.8:1"));
}

TEST(ClientIdentityTest, AddressesOfOneIpv6NetworkAreOneClient) {
  EXPECT_EQ(ClientIdentityOfPeer("ipv6:%5B2001:db8:1:2:3:4:5:6%5D:443"), "host:2001:db8:1:2::/64");
  EXPECT_EQ(ClientIdentityOfPeer("ipv6:[2001:db8:1:2::1]:443"), "host:2001:db8:1:2::/64");
  EXPECT_EQ(ClientIdentityOfPeer("ipv6:%5Bfe80::1%25eth0%5D:443"), "host:fe80::/64");
  EXPECT_NE(ClientIdentityOfPeer("ipv6:%5B2001:db8:1:3::1%5D:443"), "host:2001:db8:1:2::/64");
}

TEST(ClientIdentityTest, UnixSocketsAreOneClientAndNonsenseAnother) {
  EXPECT_EQ(ClientIdentityOfPeer("unix:"), "unix");
  EXPECT_EQ(ClientIdentityOfPeer("unix:/run/planning.socket"), "unix");
  for (const char* nonsense : {"", "ipv6:", "ipv6:[", "ipv6:[zz]:1", "ipv6:]:1", "vsock:3:4"}) {
    EXPECT_EQ(ClientIdentityOfPeer(nonsense), "unknown") << nonsense;
  }
}

}  // namespace
}  // namespace automot::rpc
