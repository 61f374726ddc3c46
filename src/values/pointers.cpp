// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <string>
#include <typeindex>
#include <utility>
#include <vector>

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

class WrittenPointers {
 public:
  std::vector<const WrittenClass*> registered;
  std::map<std::pair<const void*, std::type_index>, std::pair<std::uint64_t, std::shared_ptr<const void>>>
      shared;
};

WriterState::Shared WriterState::number_of(const void* object, const std::type_info& type,
                                           std::shared_ptr<const void> keep) {
  if (pointers_ == nullptr) pointers_ = new WrittenPointers;
  const auto number = static_cast<std::uint64_t>(pointers_->shared.size() + 1);
  const auto [entry, is_new] = pointers_->shared.try_emplace({object, type}, number, std::move(keep));
  return {entry->second.first, is_new};
}

const WrittenClass* WriterState::registered_class(const std::type_info& type) const noexcept {
  if (pointers_ == nullptr) return nullptr;
  const auto found = std::find_if(pointers_->registered.begin(), pointers_->registered.end(),
                                  [&](const WrittenClass* known) { return *known->type == type; });
  return found != pointers_->registered.end() ? *found : nullptr;
}

void WriterState::remember(const WrittenClass& registered) {
  if (registered_class(*registered.type) != nullptr) return;
  if (pointers_ == nullptr) pointers_ = new WrittenPointers;
  pointers_->registered.push_back(&registered);
}

void WriterState::forget() noexcept {
  delete pointers_;
}

const ReadClass* ReaderState::registered_class(std::uint32_t fingerprint) const noexcept {
  const auto found = std::find_if(registered_.begin(), registered_.end(),
                                  [&](const ReadClass* known) { return known->fingerprint == fingerprint; });
  return found != registered_.end() ? *found : nullptr;
}

void ReaderState::remember(const ReadClass& registered) {
  if (registered_class(registered.fingerprint) == nullptr) registered_.push_back(&registered);
}

void ReaderState::empty_shared() noexcept {
  for (const Shared& shared : shared_) {
    try {
      shared.made->empty(shared.object.get());
    } catch (...) {  // a cycle that leaks is better than the end of the program
    }
  }
}

}  // namespace v1
}  // namespace portolan
