// SPDX-License-Identifier: Apache-2.0

#include "cbor/cbor_item.hpp"

#include <array>
#include <cbor/callbacks.h>
#include <cbor/encoding.h>
#include <cbor/streaming.h>

namespace portolan::cbor {

namespace {

void set(void* item, ItemKind kind, std::uint64_t count = 0) {
  static_cast<Item*>(item)->kind = kind;
  static_cast<Item*>(item)->count = count;
}

template <ItemKind kKind, class Count>
void on_count(void* item, Count count) {
  set(item, kKind, count);
}

template <ItemKind kKind>
void on_begin(void* item) {
  set(item, kKind);
}

template <ItemKind kKind>
void on_content(void* item, cbor_data content, std::size_t bytes) {
  set(item, kKind, bytes);
  static_cast<Item*>(item)->content = std::as_bytes(std::span(content, bytes));
}

template <class Number>
void on_number(void* item, Number number) {
  set(item, ItemKind::number);
  static_cast<Item*>(item)->number = static_cast<double>(number);
}

void on_boolean(void* item, bool boolean) {
  set(item, ItemKind::boolean);
  static_cast<Item*>(item)->boolean = boolean;
}

constexpr cbor_callbacks kCallbacks{
    .uint8 = on_count<ItemKind::unsigned_integer, std::uint8_t>,
    .uint16 = on_count<ItemKind::unsigned_integer, std::uint16_t>,
    .uint32 = on_count<ItemKind::unsigned_integer, std::uint32_t>,
    .uint64 = on_count<ItemKind::unsigned_integer, std::uint64_t>,
    .negint64 = on_count<ItemKind::negative_integer, std::uint64_t>,
    .negint32 = on_count<ItemKind::negative_integer, std::uint32_t>,
    .negint16 = on_count<ItemKind::negative_integer, std::uint16_t>,
    .negint8 = on_count<ItemKind::negative_integer, std::uint8_t>,
    .byte_string_start = on_begin<ItemKind::bytes_begin>,
    .byte_string = on_content<ItemKind::bytes>,
    .string = on_content<ItemKind::text>,
    .string_start = on_begin<ItemKind::text_begin>,
    .indef_array_start = on_begin<ItemKind::array_begin>,
    .array_start = on_count<ItemKind::array, std::size_t>,
    .indef_map_start = on_begin<ItemKind::map_begin>,
    .map_start = on_count<ItemKind::map, std::size_t>,
    .tag = on_count<ItemKind::tag, std::uint64_t>,
    .float2 = on_number<float>,
    .float4 = on_number<float>,
    .float8 = on_number<double>,
    .undefined = on_begin<ItemKind::null>,
    .null = on_begin<ItemKind::null>,
    .boolean = on_boolean,
    .indef_break = on_begin<ItemKind::end>,
};

// The longest head, and the longest item without content.
using Head = std::array<unsigned char, 9>;

void write(Sink& sink, const Head& head, std::size_t bytes) {
  sink.write(head.data(), bytes);
}

}  // namespace

Item take_item(std::span<const std::byte>& left) {
  Item item;
  const auto* const first = reinterpret_cast<const unsigned char*>(left.data());
  const cbor_decoder_result result = cbor_stream_decode(first, left.size(), &kCallbacks, &item);
  if (result.status == CBOR_DECODER_NEDATA) refuse_value("cbor: an item that is longer than the message");
  if (result.status != CBOR_DECODER_FINISHED) refuse_value("cbor: an item that CBOR does not have");
  left = left.subspan(result.read);
  return item;
}

void write_head(Sink& sink, ItemKind kind, std::uint64_t count) {
  using Encode = std::size_t (*)(std::uint64_t, unsigned char*, std::size_t);
  Encode encode = cbor_encode_uint;
  if (kind == ItemKind::negative_integer) encode = cbor_encode_negint;
  if (kind == ItemKind::bytes) encode = cbor_encode_bytestring_start;
  if (kind == ItemKind::text) encode = cbor_encode_string_start;
  if (kind == ItemKind::array) encode = cbor_encode_array_start;
  if (kind == ItemKind::map) encode = cbor_encode_map_start;
  if (kind == ItemKind::tag) encode = cbor_encode_tag;
  Head head;
  write(sink, head, encode(count, head.data(), head.size()));
}

void write_number(Sink& sink, double number) {
  Head head;
  write(sink, head, cbor_encode_double(number, head.data(), head.size()));
}

void write_boolean(Sink& sink, bool boolean) {
  Head head;
  write(sink, head, cbor_encode_bool(boolean, head.data(), head.size()));
}

void write_null(Sink& sink) {
  Head head;
  write(sink, head, cbor_encode_null(head.data(), head.size()));
}

}  // namespace portolan::cbor
