// SPDX-License-Identifier: Apache-2.0

// A format of one's own: an Invoice is a protobuf message, and travels as protobuf writes it.
#include <cstdint>
#include <cstdio>
#include <invoice.pb.h>
#include <stdexcept>
#include <vector>

#include <portolan/portolan.hpp>

template <>
struct portolan::codec<Invoice> {
  static void write(const Invoice& invoice, portolan::Sink& sink) {
    const std::size_t bytes = invoice.ByteSizeLong();
    invoice.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(sink.append(bytes)));
  }
  static Invoice read(portolan::Source& source) {
    const std::size_t bytes = source.left();
    Invoice invoice;
    if (!invoice.ParseFromArray(source.take(bytes), static_cast<int>(bytes)))
      throw std::runtime_error("no Invoice");
    return invoice;
  }
};

int main() {
  Invoice invoice;
  invoice.set_customer("the harbour master");
  invoice.add_cents(1250);
  invoice.add_cents(700);

  portolan::MessageChannel channel;
  channel.port1.post_message(invoice);
  channel.port1.post_message(std::vector<Invoice>{invoice, invoice});  // inside another value, too

  const Invoice received = channel.port2.receive()->data<Invoice>();
  const auto both = channel.port2.receive()->data<std::vector<Invoice>>();
  if (received.SerializeAsString() != invoice.SerializeAsString() || both.size() != 2) return 1;
  std::printf("%s owes %llu and %llu cents\n", received.customer().c_str(),
              static_cast<unsigned long long>(both[1].cents(0)),
              static_cast<unsigned long long>(both[1].cents(1)));
  return 0;
}
