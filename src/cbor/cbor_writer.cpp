// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <span>
#include <string>
#include <utf8cpp/utf8/core.h>

#include <portolan/error.hpp>
#include <portolan/value.hpp>

#include "cbor/cbor_item.hpp"
#include "cbor/value_tags.hpp"

namespace portolan {

namespace cbor {

namespace {

class CborWriter {
 public:
  CborWriter(Sink& sink, Ownership ports) : sink_(sink), ports_(ports) {}

  void write(const Value& value) {
    switch (value.kind()) {
      case Value::Kind::null:
        return write_null(sink_);
      case Value::Kind::boolean:
        return write_boolean(sink_, value.as_bool());
      case Value::Kind::integer:
        return write_integer(value.as_cbor_integer());
      case Value::Kind::number:
        return write_number(sink_, value.as_double());
      case Value::Kind::string:
        return write_string(value.as_string());
      case Value::Kind::bytes:
        return write_content(ItemKind::bytes, std::as_bytes(std::span(value.as_bytes())));
      case Value::Kind::date:
        return write_date(value.as_date());
      case Value::Kind::array:
        return write_array(value.as_array());
      case Value::Kind::map:
        return write_map(value.as_map());
      case Value::Kind::port:
        // The sink detaches only what was posted as an rvalue or stands, as non-const, in the transfer list.
        return write_port(const_cast<Value&>(value).as_port());
    }
  }

 private:
  void write_integer(const CborInteger& integer) {
    write_head(sink_, integer.negative ? ItemKind::negative_integer : ItemKind::unsigned_integer,
               integer.magnitude);
  }

  void write_content(ItemKind kind, std::span<const std::byte> content) {
    write_head(sink_, kind, content.size());
    sink_.write(content.data(), content.size());
  }

  void write_string(const std::string& string) {
    if (!utf8::is_valid(string.begin(), string.end()))
      refuse_value("cbor: a string that is not UTF-8; send it as Value::Bytes");
    write_content(ItemKind::text, std::as_bytes(std::span(string)));
  }

  void write_date(Value::Date date) {
    const auto milliseconds = date.time_since_epoch().count();
    if (milliseconds > Value::kDateLimit.count() || milliseconds < -Value::kDateLimit.count())
      refuse_value("cbor: a date further from 1970 than Value::kDateLimit");
    write_head(sink_, ItemKind::tag, kEpochDateTag);
    if (milliseconds % 1000 != 0) return write_number(sink_, static_cast<double>(milliseconds) / 1000);
    write(Value(milliseconds / 1000));
  }

  void write_array(const Value::Array& array) {
    enter();
    write_head(sink_, ItemKind::array, array.size());
    for (const Value& element : array) write(element);
    --depth_;
  }

  void write_map(const Value::Map& map) {
    enter();
    write_head(sink_, ItemKind::map, map.size());
    for (const auto& [key, value] : map) {
      if (!is_key(key.kind())) refuse_value("cbor: an array, a map or a port as the key of a map");
      write(key);
      write(value);
    }
    --depth_;
  }

  void write_port(MessagePort& port) {
    const std::uint32_t index = sink_.attach(port, ports_);
    write_head(sink_, ItemKind::tag, kPortTag);
    write_head(sink_, ItemKind::unsigned_integer, index);
  }

  void enter() {
    if (++depth_ > Value::kDepthLimit)
      refuse_value("cbor: arrays and maps nested deeper than Value::kDepthLimit");
  }

  Sink& sink_;
  Ownership ports_;
  std::size_t depth_ = 0;
};

// A payload outside of any message.
class BytesSink final : public Sink {
 public:
  BytesSink() : Sink(true) {}

  Value::Bytes finish() {
    bytes_.resize(written());
    return std::move(bytes_);
  }

 private:
  void grow(std::size_t bytes) override {
    const std::size_t used = written();
    bytes_.resize(std::max(2 * used, used + bytes));
    begin_ = bytes_.data();
    cursor_ = begin_ + used;
    end_ = begin_ + bytes_.size();
  }
  std::uint32_t attach_port(MessagePort&, Ownership) override {
    refuse_value("to_cbor(): a port, which can only go along with a message");
  }

  Value::Bytes bytes_;
};

}  // namespace

}  // namespace cbor

inline namespace v1 {

void codec<Value>::write(const Value& value, Sink& sink, Ownership ports) {
  cbor::CborWriter(sink, ports).write(value);
}

Value::Bytes Value::to_cbor() const {
  cbor::BytesSink sink;
  codec<Value>::write(*this, sink, Ownership::must_be_listed);
  return sink.finish();
}

}  // namespace v1
}  // namespace portolan
