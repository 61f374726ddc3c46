// SPDX-License-Identifier: Apache-2.0

#include <array>

#include <portolan/value_reader.hpp>
#include <portolan/value_writer.hpp>

namespace portolan {
inline namespace v1 {

namespace {

constexpr std::size_t kCountBytes = 10;  // 64 bits, 7 a byte

}  // namespace

void ValueWriter::write_long_count(std::uint64_t count) {
  std::array<std::uint8_t, kCountBytes> bytes;
  std::size_t used = 0;
  while (count >= 0x80) {
    bytes[used++] = static_cast<std::uint8_t>(count | 0x80);
    count >>= 7;
  }
  bytes[used++] = static_cast<std::uint8_t>(count);
  sink_.write(bytes.data(), used);
}

std::uint64_t ValueReader::read_long_count(std::uint8_t first) {
  std::uint64_t count = first & 0x7FU;
  for (std::size_t i = 1; i < kCountBytes; ++i) {
    const auto byte = std::to_integer<std::uint64_t>(*source_.take(1));
    if (byte == 0) refuse_value("value: a count with a needless last byte");
    if (i == kCountBytes - 1 && byte > 1) break;
    count |= (byte & 0x7F) << (7 * i);
    if (byte < 0x80) return count;
  }
  refuse_value("value: a count of more than 64 bits");
}

}  // namespace v1
}  // namespace portolan
