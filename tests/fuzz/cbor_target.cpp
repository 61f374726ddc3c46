// SPDX-License-Identifier: Apache-2.0

#include <array>
#include <cstdint>
#include <utility>

#include <portolan/error.hpp>
#include <portolan/value.hpp>

#include "fuzz/target.hpp"

namespace portolan::fuzz {

namespace {

// A message with three ports, of which a reader gets detached ones.
class CborSource final : public Source {
 public:
  explicit CborSource(std::span<const std::byte> payload)
      : Source(payload.data(), payload.size(), Format::cbor, false) {}

 private:
  void lend_port(std::uint32_t index, MessagePort&) override {
    if (index >= taken_.size() || taken_[index]) throw DataCloneError("no such port");
    taken_[index] = true;
  }

  std::array<bool, 3> taken_{};
};

Value::Bytes written(const Value& value) {
  try {
    return value.to_cbor();
  } catch (const DataCloneError&) {
    return {};  // a port
  }
}

}  // namespace

bool read(std::span<const std::byte> input) {
  try {
    CborSource source(input);
    const Value value = decode<Value>(source);
    const Value::Bytes bytes = written(value);
    if (bytes.empty()) return true;
    const Value again = Value::from_cbor(bytes);
    FUZZ_HOLDS(again == value);
    FUZZ_HOLDS(again.to_cbor() == bytes);
    return true;
  } catch (const DataCloneError&) {
    return false;
  }
}

std::vector<Input> seeds() {
  const Value::Date date{std::chrono::milliseconds(1500)};
  std::vector<Input> inputs;
  inputs.push_back(Value::map({{"a", Value::array(1, -2, 2.5, "text")},
                               {7, Value::Bytes(3)},
                               {date, Value::map({{nullptr, true}})}})
                       .to_cbor());
  const auto add = [&](std::initializer_list<unsigned> bytes) {
    Input& input = inputs.emplace_back();
    for (const unsigned byte : bytes) input.push_back(static_cast<std::byte>(byte));
  };
  add({0x9f, 0x7f, 0x61, 0x61, 0x61, 0x62, 0xff, 0x5f, 0x41, 1, 0xff, 0xbf, 1, 2, 0xff, 0xf7, 0xff});
  add({0x82, 0xda, 0x70, 0x6f, 0x72, 0x74, 0x00, 0xda, 0x70, 0x6f, 0x72, 0x74, 0x02});
  add({0xd9, 0xd9, 0xf7, 0xf9, 0x3e, 0x00});
  Input text{std::byte{0xc0}};
  for (const std::byte byte : Value("2013-03-21T20:04:00.25+01:30").to_cbor()) text.push_back(byte);
  inputs.push_back(std::move(text));
  return inputs;
}

std::size_t memory_limit_bytes(std::size_t input_bytes) {
  return (4 << 10) + 512 * input_bytes;
}

}  // namespace portolan::fuzz
