// SPDX-License-Identifier: Apache-2.0

#include <array>

#include <portolan/value_reader.hpp>
#include <portolan/value_writer.hpp>

namespace portolan {
inline namespace v1 {

std::size_t ValueWriter::split(std::uint64_t count, LongCount& bytes) noexcept {
  std::size_t used = 0;
  while (count >= 0x80) {
    bytes[used++] = static_cast<std::uint8_t>(count | 0x80);
    count >>= 7;
  }
  bytes[used++] = static_cast<std::uint8_t>(count);
  return used;
}

ValueReader::LongCount ValueReader::read_long_count(std::uint8_t first, const std::byte* cursor,
                                                    const std::byte* end) {
  constexpr std::size_t kMostBytes = std::tuple_size_v<ValueWriter::LongCount>;
  std::uint64_t count = first & 0x7FU;
  for (std::size_t i = 1; i < kMostBytes; ++i) {
    if (cursor == end) refuse_short(1, 0);
    const auto byte = std::to_integer<std::uint64_t>(*cursor++);
    if (byte == 0) refuse_value("value: a count with a needless last byte");
    if (i == kMostBytes - 1 && byte > 1) break;
    count |= (byte & 0x7F) << (7 * i);
    if (byte < 0x80) return {count, cursor};
  }
  refuse_value("value: a count of more than 64 bits");
}

ValueWriter::Room ValueWriter::grown(Sink& sink, std::byte* cursor, std::size_t bytes) {
  sink.cursor_ = cursor;
  sink.grow(bytes);
  return {sink.cursor_, sink.end_};
}

}  // namespace v1
}  // namespace portolan
