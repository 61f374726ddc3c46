// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <compare>
#include <string>
#include <utility>

#include <portolan/error.hpp>
#include <portolan/value.hpp>

namespace portolan {
inline namespace v1 {

namespace {

[[noreturn]] void refuse_kind(Value::Kind held, Value::Kind wanted) {
  throw DataCloneError("value: it is of kind " + std::string(name_of(held)) + ", read as " +
                       std::string(name_of(wanted)));
}

// What `held`, a Value's content, has of the alternative T, which is its kind `wanted`.
template <class T, class Held>
auto& content(Held& held, Value::Kind wanted) {
  auto* const found = std::get_if<T>(&held);
  if (found == nullptr) refuse_kind(static_cast<Value::Kind>(held.index()), wanted);
  return *found;
}

std::strong_ordering order(std::monostate, std::monostate) {
  return std::strong_ordering::equal;
}

std::strong_ordering order(bool left, bool right) {
  return left <=> right;
}

std::strong_ordering order(const CborInteger& left, const CborInteger& right) {
  if (left.negative != right.negative) return right.negative <=> left.negative;
  return left.negative ? right.magnitude <=> left.magnitude : left.magnitude <=> right.magnitude;
}

std::strong_ordering order(double left, double right) {
  return std::strong_order(left, right);
}

std::strong_ordering order(const std::string& left, const std::string& right) {
  return left <=> right;
}

std::strong_ordering order(const Value::Bytes& left, const Value::Bytes& right) {
  return left <=> right;
}

std::strong_ordering order(Value::Date left, Value::Date right) {
  return left.time_since_epoch().count() <=> right.time_since_epoch().count();
}

std::strong_ordering order(const MessagePort& left, const MessagePort& right) {
  return std::compare_three_way()(&left, &right);
}

template <class Container>
std::strong_ordering order_elements(const Container& left, const Container& right) {
  return std::lexicographical_compare_three_way(left.begin(), left.end(), right.begin(), right.end());
}

std::strong_ordering order(const Value::Array& left, const Value::Array& right) {
  return order_elements(left, right);
}

std::strong_ordering order(const std::unique_ptr<Value::Map>& left,
                           const std::unique_ptr<Value::Map>& right) {
  return order_elements(*left, *right);
}

}  // namespace

Value::Value() noexcept = default;
Value::Value(std::nullptr_t) noexcept {}
Value::Value(CborInteger integer) noexcept : held_(integer) {}
Value::Value(double number) noexcept : held_(number) {}
Value::Value(float number) noexcept : held_(static_cast<double>(number)) {}
Value::Value(const char* string) : held_(std::string(string)) {}
Value::Value(std::string_view string) : held_(std::string(string)) {}
Value::Value(std::string string) noexcept : held_(std::move(string)) {}
Value::Value(Bytes bytes) noexcept : held_(std::move(bytes)) {}
Value::Value(std::span<const std::byte> bytes) : held_(Bytes(bytes.begin(), bytes.end())) {}
Value::Value(Array array) noexcept : held_(std::move(array)) {}
Value::Value(Map map) : held_(std::make_unique<Map>(std::move(map))) {}
Value::Value(MessagePort port) noexcept : held_(std::move(port)) {}
Value::Value(Value&&) noexcept = default;
Value& Value::operator=(Value&&) noexcept = default;
Value::~Value() = default;

Value Value::map(std::initializer_list<Entry> entries) {
  Map map;
  for (const Entry& entry : entries) map.insert_or_assign(std::move(entry.key), std::move(entry.value));
  return map;
}

bool Value::as_bool() const {
  return content<bool>(held_, Kind::boolean);
}

const CborInteger& Value::as_cbor_integer() const {
  return content<CborInteger>(held_, Kind::integer);
}

void Value::refuse_integer() {
  throw DataCloneError("value: an integer that does not fit into the type that it is read as");
}

double Value::as_double() const {
  constexpr std::uint64_t kExact = std::uint64_t{1} << 53;
  const auto* const integer = std::get_if<CborInteger>(&held_);
  if (integer == nullptr) return content<double>(held_, Kind::number);
  if (integer->magnitude > kExact) refuse_integer();
  const auto magnitude = static_cast<double>(integer->magnitude);
  return integer->negative ? -1 - magnitude : magnitude;
}

Value::Date Value::as_date() const {
  return content<Date>(held_, Kind::date);
}

const std::string& Value::as_string() const& {
  return content<std::string>(held_, Kind::string);
}
std::string& Value::as_string() & {
  return content<std::string>(held_, Kind::string);
}
std::string Value::as_string() && {
  return std::move(as_string());
}

const Value::Bytes& Value::as_bytes() const& {
  return content<Bytes>(held_, Kind::bytes);
}
Value::Bytes& Value::as_bytes() & {
  return content<Bytes>(held_, Kind::bytes);
}
Value::Bytes Value::as_bytes() && {
  return std::move(as_bytes());
}

const Value::Array& Value::as_array() const& {
  return content<Array>(held_, Kind::array);
}
Value::Array& Value::as_array() & {
  return content<Array>(held_, Kind::array);
}
Value::Array Value::as_array() && {
  return std::move(as_array());
}

const Value::Map& Value::as_map() const& {
  return *content<std::unique_ptr<Map>>(held_, Kind::map);
}
Value::Map& Value::as_map() & {
  return *content<std::unique_ptr<Map>>(held_, Kind::map);
}
Value::Map Value::as_map() && {
  return std::move(as_map());
}

MessagePort& Value::as_port() & {
  return content<MessagePort>(held_, Kind::port);
}
MessagePort Value::as_port() && {
  return std::move(as_port());
}

std::size_t Value::size() const {
  return kind() == Kind::map ? as_map().size() : as_array().size();
}

const Value* Value::find(const Value& key) const {
  const Map& map = as_map();
  const auto found = map.find(key);
  return found == map.end() ? nullptr : &found->second;
}

Value* Value::find(const Value& key) {
  return const_cast<Value*>(std::as_const(*this).find(key));
}

const Value& Value::at(std::string_view key) const {
  const Value* const found = find(key);
  if (found == nullptr) throw DataCloneError("value: a map without the key '" + std::string(key) + "'");
  return *found;
}

Value& Value::at(std::string_view key) {
  return const_cast<Value&>(std::as_const(*this).at(key));
}

const Value& Value::at(std::size_t index) const {
  const Array& array = as_array();
  if (index >= array.size()) {
    throw DataCloneError("value: element " + std::to_string(index) + " of an array of " +
                         std::to_string(array.size()));
  }
  return array[index];
}

Value& Value::at(std::size_t index) {
  return const_cast<Value&>(std::as_const(*this).at(index));
}

std::strong_ordering operator<=>(const Value& left, const Value& right) noexcept {
  if (left.held_.index() != right.held_.index()) return left.held_.index() <=> right.held_.index();
  return std::visit([&]<class T>(const T& content) { return order(content, *std::get_if<T>(&right.held_)); },
                    left.held_);
}

std::string_view name_of(Value::Kind kind) noexcept {
  switch (kind) {
    case Value::Kind::null:
      return "null";
    case Value::Kind::boolean:
      return "boolean";
    case Value::Kind::integer:
      return "integer";
    case Value::Kind::number:
      return "number";
    case Value::Kind::string:
      return "string";
    case Value::Kind::bytes:
      return "bytes";
    case Value::Kind::date:
      return "date";
    case Value::Kind::array:
      return "array";
    case Value::Kind::map:
      return "map";
    case Value::Kind::port:
      return "port";
  }
  return "unknown";
}

}  // namespace v1
}  // namespace portolan
