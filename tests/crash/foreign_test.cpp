// SPDX-License-Identifier: Apache-2.0

// What a foreign peer may not make its receiver map or copy.
#include <doctest/doctest.h>
#include <unistd.h>

#include "crash/ward.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

constexpr off_t kTrustAt = 0x0c;  // docs/ring-protocol.md, "Layout"

// As a peer would have written it that keeps to no limits.
void make_foreign(PortHandle& handle) {
  const auto foreign = static_cast<std::uint8_t>(Trust::foreign);
  REQUIRE(::pwrite(handle.segment().get(), &foreign, sizeof foreign, kTrustAt) == sizeof foreign);
}

}  // namespace

TEST_CASE("a foreign message above the limit ends its channel and is not delivered") {
  const PortCensus census;
  MessageChannel data;
  data.port1.post_message("small");
  data.port1.post_message(std::vector<std::byte>(70 << 20));
  PortHandle handle = std::move(data.port2).release();
  make_foreign(handle);
  MessagePort port = MessagePort::adopt(std::move(handle));
  CHECK(port.receive()->text() == "small");
  CHECK(port.receive().status() == ReceiveStatus::closed);
  CHECK_FALSE(port.is_open());
  CHECK(close_reasons(data.port1) == std::vector{CloseReason::protocol_error});
}

TEST_CASE("a foreign segment above the limit is refused, and no such channel is made here") {
  const PortCensus census;
  MessageChannel data({.limit_bytes = std::size_t{1} << 30});
  PortHandle handle = std::move(data.port2).release();
  make_foreign(handle);
  CHECK_THROWS_AS(static_cast<void>(MessagePort::adopt(std::move(handle))), DataCloneError);
  CHECK_THROWS_AS(MessageChannel({.limit_bytes = std::size_t{1} << 30, .trust = Trust::foreign}), PortError);
  const MessageChannel largest({.limit_bytes = std::size_t{128} << 20, .trust = Trust::foreign});
  CHECK(largest.port1.is_open());
}
