// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>

#include <portolan/error.hpp>
#include <portolan/value_pointers.hpp>

namespace portolan {
inline namespace v1 {

namespace {

[[noreturn]] void refuse_class(std::string_view base, const std::string& found) {
  const std::string name(base);
  throw DataCloneError("value: a pointer to " + name + " leads to an object of " + found +
                       ", which is not registered for it; list it in portolan::derived_of<" + name +
                       ">, or call register_type in the serialize");
}

}  // namespace

void refuse_unregistered(std::string_view base, const std::type_info& written) {
  refuse_class(base, std::string("another class (") + written.name() + ")");
}

void refuse_unregistered(std::string_view base, std::uint32_t read_fingerprint) {
  std::array<char, 48> text;
  std::snprintf(text.data(), text.size(), "a class with fingerprint 0x%08x", read_fingerprint);
  refuse_class(base, text.data());
}

const WrittenClass* ValueWriter::registered_class(const std::type_info& type) const noexcept {
  const auto found = std::find_if(registered_.begin(), registered_.end(),
                                  [&](const WrittenClass* known) { return *known->type == type; });
  return found != registered_.end() ? *found : nullptr;
}

void ValueWriter::remember(const WrittenClass& registered) {
  if (registered_class(*registered.type) == nullptr) registered_.push_back(&registered);
}

const ReadClass* ValueReader::registered_class(std::uint32_t fingerprint) const noexcept {
  const auto found = std::find_if(registered_.begin(), registered_.end(),
                                  [&](const ReadClass* known) { return known->fingerprint == fingerprint; });
  return found != registered_.end() ? *found : nullptr;
}

void ValueReader::remember(const ReadClass& registered) {
  if (registered_class(registered.fingerprint) == nullptr) registered_.push_back(&registered);
}

void ValueReader::empty_shared() noexcept {
  for (const Shared& shared : shared_) {
    try {
      shared.made->empty(shared.object.get());
    } catch (...) {  // a cycle that leaks is better than the end of the program
    }
  }
}

}  // namespace v1
}  // namespace portolan
