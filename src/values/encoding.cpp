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

namespace {

constexpr std::string_view kOnlyPorts = "value: buffers and descriptors do not go this way, only ports";

}  // namespace

std::uint32_t Sink::attach_buffer(SharedBuffer&, Ownership) {
  refuse_value(kOnlyPorts);
}

std::uint32_t Sink::attach_descriptor(FileDescriptor&, Ownership) {
  refuse_value(kOnlyPorts);
}

std::uint32_t Sink::attach_view(const BufferView&) {
  refuse_value(kOnlyPorts);
}

void Source::lend_buffer(std::uint32_t, SharedBuffer&) {
  refuse_value(kOnlyPorts);
}

void Source::lend_descriptor(std::uint32_t, FileDescriptor&) {
  refuse_value(kOnlyPorts);
}

void Source::lend_view(std::uint32_t, BufferView&) {
  refuse_value(kOnlyPorts);
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
    case Format::refusal:
      return "refusal";
  }
  return "unknown";
}

void refuse_value(std::string_view why) {
  throw DataCloneError(std::string(why));
}

void refuse_short(std::size_t wanted_bytes, std::size_t left_bytes) {
  throw DataCloneError("value: " + std::to_string(wanted_bytes) + " bytes wanted, " +
                       std::to_string(left_bytes) + " left");
}

}  // namespace v1
}  // namespace portolan
