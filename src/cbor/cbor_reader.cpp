// SPDX-License-Identifier: Apache-2.0

#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utf8cpp/utf8/core.h>
#include <utility>

#include <portolan/error.hpp>
#include <portolan/value.hpp>

#include "cbor/cbor_item.hpp"
#include "cbor/date_text.hpp"
#include "cbor/value_tags.hpp"

namespace portolan {

namespace cbor {

namespace {

// Takes memory only for what has been read: a count in the message makes a loop longer, and never an
// allocation larger. So a message costs a small multiple of its bytes, whoever sent it.
class CborReader {
 public:
  CborReader(std::span<const std::byte> payload, Source& ports) : left_(payload), ports_(ports) {}

  Value read_whole() {
    const Item first = take_item(left_);
    const bool is_described = first.kind == ItemKind::tag && first.count == kSelfDescribedTag;
    Value value = is_described ? read() : read(first);
    if (!left_.empty()) refuse_value("cbor: more than one item");
    return value;
  }

 private:
  Value read() { return read(take_item(left_)); }

  Value read(const Item& item) {
    switch (item.kind) {
      case ItemKind::unsigned_integer:
        return CborInteger{item.count, false};
      case ItemKind::negative_integer:
        return CborInteger{item.count, true};
      case ItemKind::bytes:
        return item.content;
      case ItemKind::bytes_begin:
        return read_pieces<Value::Bytes>(ItemKind::bytes);
      case ItemKind::text:
        return read_text(item);
      case ItemKind::text_begin:
        return read_pieces<std::string>(ItemKind::text);
      case ItemKind::array:
      case ItemKind::array_begin:
        return read_array(item);
      case ItemKind::map:
      case ItemKind::map_begin:
        return read_map(item);
      case ItemKind::tag:
        return read_tagged(item.count);
      case ItemKind::number:
        return item.number;
      case ItemKind::boolean:
        return item.boolean;
      case ItemKind::null:
        return nullptr;
      case ItemKind::end:
        break;
    }
    refuse_value("cbor: the end of something that has not begun");
  }

  static std::string read_text(const Item& item) {
    // Checked in our own copy: the sender of a trusted message can still write to its bytes.
    std::string text(reinterpret_cast<const char*>(item.content.data()), item.content.size());
    if (!utf8::is_valid(text.begin(), text.end())) refuse_value("cbor: a string that is not UTF-8");
    return text;
  }

  // A string in pieces, each of which is a whole one.
  template <class String>
  String read_pieces(ItemKind kind) {
    String whole;
    for (Item piece = take_item(left_); piece.kind != ItemKind::end; piece = take_item(left_)) {
      if (piece.kind != kind) refuse_value("cbor: a string in pieces of another kind");
      if constexpr (std::is_same_v<String, std::string>) {
        whole += read_text(piece);
      } else {
        whole.insert(whole.end(), piece.content.begin(), piece.content.end());
      }
    }
    return whole;
  }

  // Calls read_one(item) for the first item of each element of what `head` begins.
  template <class ReadOne>
  void read_elements(const Item& head, bool is_counted, ReadOne read_one) {
    if (++depth_ > Value::kDepthLimit)
      refuse_value("cbor: arrays and maps nested deeper than Value::kDepthLimit");
    if (is_counted) {
      if (head.count > left_.size()) refuse_value("cbor: more elements than bytes are left");
      for (std::uint64_t i = 0; i < head.count; ++i) read_one(take_item(left_));
    } else {
      for (Item item = take_item(left_); item.kind != ItemKind::end; item = take_item(left_)) read_one(item);
    }
    --depth_;
  }

  Value read_array(const Item& head) {
    Value::Array array;
    read_elements(head, head.kind == ItemKind::array, [&](const Item& item) { array.push_back(read(item)); });
    return array;
  }

  Value read_map(const Item& head) {
    Value::Map map;
    read_elements(head, head.kind == ItemKind::map, [&](const Item& item) {
      Value key = read(item);
      if (!is_key(key.kind())) refuse_value("cbor: an array, a map or a port as the key of a map");
      const std::size_t before = map.size();
      const auto entry = map.emplace_hint(map.end(), std::move(key), nullptr);
      if (map.size() == before) refuse_value("cbor: a map with the same key twice");
      entry->second = read();
    });
    return map;
  }

  Value read_tagged(std::uint64_t tag) {
    const Item item = take_item(left_);
    if (tag == kPortTag && item.kind == ItemKind::unsigned_integer) return read_port(item.count);
    if (tag == kEpochDateTag) return read_epoch_date(item);
    if (tag == kDateTextTag && item.kind == ItemKind::text) {
      if (const auto date = parse_date(read_text(item))) return *date;
      refuse_value("cbor: a date that RFC 3339 does not have");
    }
    throw DataCloneError("cbor: tag " + std::to_string(tag) +
                         ", which no Value has, or with what it cannot have");
  }

  Value read_port(std::uint64_t index) {
    if (index > UINT32_MAX) refuse_value("cbor: a port with an absurd index");
    MessagePort port;
    ports_.take_port(static_cast<std::uint32_t>(index), port);
    return port;
  }

  static Value read_epoch_date(const Item& item) {
    double seconds = item.number;
    if (item.kind == ItemKind::unsigned_integer) {
      seconds = static_cast<double>(item.count);
    } else if (item.kind == ItemKind::negative_integer) {
      seconds = -1 - static_cast<double>(item.count);
    } else if (item.kind != ItemKind::number) {
      refuse_value("cbor: a date that is no number of seconds");
    }
    const double milliseconds = std::round(seconds * 1000);
    if (!(std::abs(milliseconds) <= static_cast<double>(Value::kDateLimit.count())))
      refuse_value("cbor: a date further from 1970 than Value::kDateLimit");
    return Value::Date(std::chrono::milliseconds(static_cast<std::int64_t>(milliseconds)));
  }

  std::span<const std::byte> left_;
  Source& ports_;
  std::size_t depth_ = 0;
};

// A payload outside of any message.
class BytesSource final : public Source {
 public:
  explicit BytesSource(std::span<const std::byte> bytes)
      : Source(bytes.data(), bytes.size(), Format::cbor, false) {}

 private:
  void lend_port(std::uint32_t, MessagePort&) override {
    refuse_value("from_cbor(): a port, which can only come with a message");
  }
};

}  // namespace

}  // namespace cbor

inline namespace v1 {

Value codec<Value>::read(Source& source) {
  const std::size_t bytes = source.left();
  return cbor::CborReader({source.take(bytes), bytes}, source).read_whole();
}

Value Value::from_cbor(std::span<const std::byte> cbor) {
  cbor::BytesSource source(cbor);
  return codec<Value>::read(source);
}

}  // namespace v1
}  // namespace portolan
