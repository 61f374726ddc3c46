// SPDX-License-Identifier: Apache-2.0

#include <string>
#include <string_view>

#include "fuzz/target.hpp"
#include "wire/endpoint_text.hpp"

namespace portolan::fuzz {

bool read(std::span<const std::byte> input) {
  const std::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  const auto endpoints = wire::parse_endpoints(text);
  if (!endpoints) return false;
  FUZZ_HOLDS(wire::format_endpoints(*endpoints) == text);
  return true;
}

std::vector<Input> seeds() {
  wire::ChannelId channel{};
  channel.fill(std::byte{0x7a});
  const std::vector<wire::EndpointText> endpoints{{3, 4, 1, wire::Side::a, channel, "first"},
                                                  {5, 6, 1ULL << 63, wire::Side::b, channel, "second"}};
  std::vector<Input> texts;
  for (std::size_t count = 1; count <= endpoints.size(); ++count) {
    const std::string text = wire::format_endpoints({endpoints.data(), count});
    const auto bytes = std::as_bytes(std::span(text));
    texts.emplace_back(bytes.begin(), bytes.end());
  }
  return texts;
}

std::size_t memory_limit_bytes(std::size_t input_bytes) {
  return 1024 + 16 * input_bytes;
}

}  // namespace portolan::fuzz
