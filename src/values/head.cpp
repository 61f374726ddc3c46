// SPDX-License-Identifier: Apache-2.0

#include <array>
#include <cstdio>
#include <string>

#include <portolan/error.hpp>
#include <portolan/value_head.hpp>
#include <portolan/value_reader.hpp>

namespace portolan {
inline namespace v1 {

namespace {

// The class version behind a head that says there is one; 0 also if nothing readable stands there.
std::uint64_t version_behind(Source& source, std::byte encoding) {
  if ((encoding & kVersionInFront) == std::byte{0}) return 0;
  try {
    ReaderState state(source);
    return ValueReader(state).read_count();
  } catch (const DataCloneError&) {
    return 0;
  }
}

// What the message holds, as its sender would say it. The peer wrote it, and the name's letters are checked
// where they are kept.
std::string describe_sent(Source& source, const std::byte* head) {
  if (source.format() != Format::value) return std::string(name_of(source.format()));
  if (head == nullptr) return "a value that was cut off";
  std::uint32_t fingerprint = 0;
  std::memcpy(&fingerprint, head + 1, sizeof fingerprint);
  std::string sent = source.name_of_type(fingerprint);
  if (sent.empty()) {
    std::array<char, 48> text;
    std::snprintf(text.data(), text.size(), "a type with fingerprint 0x%08x", fingerprint);
    sent = text.data();
  }
  const std::uint64_t version = version_behind(source, *head);
  return version == 0 ? sent : sent + " v" + std::to_string(version);
}

[[noreturn]] void refuse(const std::string& sent, std::string_view wanted) {
  throw DataCloneError("value: sent: " + sent + ", read as: " + std::string(wanted));
}

// Apart from the check, which comes before every read and needs no room for texts.
[[noreturn, gnu::noinline]] void refuse_format(Source& source, Format wanted) {
  const bool headed = source.format() == Format::value && source.left() >= kValueHeadBytes;
  refuse(describe_sent(source, headed ? source.take(kValueHeadBytes) : nullptr), name_of(wanted));
}

}  // namespace

void require_format(Source& source, Format wanted) {
  if (source.format() != wanted) [[unlikely]]
    refuse_format(source, wanted);
}

void refuse_head(Source& source, const std::byte* head, const TypeIdentity& wanted) {
  if (head != nullptr && (*head & ~kVersionInFront) != kValueEncoding)
    throw DataCloneError("value: an encoding that this version does not know");
  std::uint32_t fingerprint = 0;
  if (head != nullptr) std::memcpy(&fingerprint, head + 1, sizeof fingerprint);
  if (head != nullptr && fingerprint == wanted.fingerprint)
    throw DataCloneError("value: " + std::string(wanted.name) +
                         " has a class version at one end and none at the other; give it the same "
                         "BOOST_CLASS_IMPLEMENTATION in both programs");
  refuse(describe_sent(source, head), wanted.name);
}

void refuse_version(std::string_view name, std::uint64_t sent, std::uint64_t known) {
  const std::string wanted(name);
  refuse(wanted + " v" + std::to_string(sent), wanted + " v" + std::to_string(known) + ", the last one here");
}

}  // namespace v1
}  // namespace portolan
