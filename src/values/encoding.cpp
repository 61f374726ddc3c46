// SPDX-License-Identifier: Apache-2.0

#include <string>

#include <portolan/encoding.hpp>
#include <portolan/error.hpp>

namespace portolan {
inline namespace v1 {

Sink::~Sink() = default;
Source::~Source() = default;

std::string Source::name_of_type(std::uint32_t) const {
  return {};
}

std::string_view name_of(Format format) noexcept {
  switch (format) {
    case Format::bytes:
      return "bytes";
    case Format::text:
      return "text";
    case Format::number:
      return "number";
    case Format::plain:
      return "plain";
    case Format::value:
      return "value";
    case Format::custom:
      return "custom";
    case Format::cbor:
      return "cbor";
  }
  return "unknown";
}

void refuse_value(std::string_view why) {
  throw DataCloneError(std::string(why));
}

void Source::refuse_short(std::size_t wanted_bytes) const {
  throw DataCloneError("value: " + std::to_string(wanted_bytes) + " bytes wanted, " + std::to_string(left()) +
                       " left");
}

}  // namespace v1
}  // namespace portolan
