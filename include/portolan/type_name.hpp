// SPDX-License-Identifier: Apache-2.0

// The name of a type, as messages of Format::value say it: a fingerprint of it stands in front of every such
// value. The same in every program and for every compiler, so it is put together here from what the encoding
// tells apart, and only the names of users' own classes are the compiler's. docs/values.md: "Names of types".
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <ratio>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <portolan/number.hpp>

namespace portolan {
inline namespace v1 {

/// Specialise to give a type a name that outlives its C++ name. It must be the same in all programs that
/// exchange the type, and needs no version: a class has that besides.
///   template <> inline constexpr std::string_view portolan::type_name<Job> = "org.example.Job";
/// Needed for programs of different compilers if a class is in an inline namespace of one's own, or has
/// template parameters that are neither types nor one type and a size.
template <class T>
inline constexpr std::string_view type_name{};

/// What a message says of the type of its value.
struct TypeIdentity {
  std::uint32_t fingerprint;  ///< of the name
  std::string_view name;      ///< of static duration
};

/// Takes a name piece by piece: the first time it only counts.
class TypeNameText {
 public:
  constexpr explicit TypeNameText(char* out) noexcept : out_(out) {}

  constexpr void add(std::string_view piece) noexcept {
    for (const char letter : piece) {
      if (out_ != nullptr) out_[size_] = letter;
      ++size_;
    }
  }
  constexpr void add(std::uint64_t number) noexcept {
    char digits[20] = {};
    std::size_t first = sizeof digits;
    do digits[--first] = static_cast<char>('0' + number % 10);
    while ((number /= 10) != 0);
    add(std::string_view(digits + first, sizeof digits - first));
  }
  /// A name as a compiler spells it, without what compilers disagree about: spaces, unnamed namespaces, the
  /// function around a local class, and namespaces with names that are reserved for the library.
  constexpr void add_spelled(std::string_view spelled) noexcept {
    const std::size_t start = size_;
    // The library's own inline namespace: gcc spells it, clang does not.
    constexpr std::string_view kOwn = "portolan::v1::";
    if (spelled.starts_with(kOwn)) {
      add("portolan::");
      spelled.remove_prefix(kOwn.size());
    }
    std::size_t component = 0;
    int depth = 0;
    for (std::size_t i = 0; i < spelled.size(); ++i) {
      const char letter = spelled[i];
      if (letter == '<' || letter == '(' || letter == '{') ++depth;
      if (letter == '>' || letter == ')' || letter == '}') --depth;
      if (depth != 0 || !spelled.substr(i).starts_with("::")) continue;
      add_outer(spelled.substr(component, i - component), start);
      component = ++i + 1;
    }
    add_dense(spelled.substr(component));
  }
  constexpr std::size_t size() const noexcept { return size_; }

 private:
  constexpr void add_outer(std::string_view component, std::size_t start) noexcept {
    if (component == "{anonymous}" || component == "(anonymous namespace)") return;
    if (component.size() > 1 && component[0] == '_' &&
        (component[1] == '_' || (component[1] >= 'A' && component[1] <= 'Z')))
      return;
    if (component.ends_with(')')) {
      size_ = start;
      return;
    }
    add_dense(component);
    add("::");
  }
  static constexpr bool in_word(char letter) noexcept {
    return letter == '_' || (letter >= '0' && letter <= '9') || (letter >= 'A' && letter <= 'Z') ||
           (letter >= 'a' && letter <= 'z');
  }
  constexpr void add_dense(std::string_view text) noexcept {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const bool splits_words = i > 0 && i + 1 < text.size() && in_word(text[i - 1]) && in_word(text[i + 1]);
      if (text[i] != ' ' || splits_words) add(text.substr(i, 1));
    }
  }

  char* out_;
  std::size_t size_ = 0;
};

namespace spelling {

/// The type's name in the compiler's spelling. In a namespace that has no types: of those in the function's
/// own, gcc leaves the namespace out.
template <class T>
consteval std::string_view spelled_type() {
  const std::string_view function = __PRETTY_FUNCTION__;  // "... [with T = ns::Job]", or "... [T = ns::Job]"
  const std::size_t begin = function.find("T = ") + 4;
  const std::size_t end = function.find("; std::string_view = ");
  return function.substr(begin, (end != std::string_view::npos ? end : function.size() - 1) - begin);
}

}  // namespace spelling

/// `spelled` without its last template arguments.
constexpr std::string_view spelled_template(std::string_view spelled) noexcept {
  std::size_t i = spelled.size();
  int depth = 0;
  do {
    --i;
    if (spelled[i] == '>') ++depth;
    if (spelled[i] == '<') --depth;
  } while (i != 0 && depth != 0);
  return spelled.substr(0, i);
}

/// How the names of types are put together; what is written alike is named alike.
template <class T>
struct TypeNaming {
  static constexpr void add(TypeNameText& text) { text.add_spelled(spelling::spelled_type<T>()); }
};

template <class T>
constexpr void add_type_name(TypeNameText& text);

template <class... T>
constexpr void add_arguments(TypeNameText& text) {
  bool first = true;
  text.add("<");
  ((first ? void() : text.add(", "), first = false, add_type_name<T>(text)), ...);
  text.add(">");
}

template <Number T>
constexpr void add_number_name(TypeNameText& text) {
  const auto kind = std::to_integer<unsigned>(number_kind<T>());
  const auto bits = std::uint64_t{8} << (kind & 0xF);
  switch (static_cast<NumberClass>(kind >> 4)) {
    case NumberClass::boolean:
      return text.add("bool");
    case NumberClass::signed_integer:
      text.add("int");
      break;
    case NumberClass::unsigned_integer:
      text.add("uint");
      break;
    case NumberClass::floating:
      text.add("float");
      break;
    case NumberClass::character:
      text.add("char");
      if (bits == 8) return;
      break;
  }
  text.add(bits);
}

template <class T>
constexpr void add_type_name(TypeNameText& text) {
  if constexpr (std::is_const_v<T>) {
    text.add("const ");
    add_type_name<std::remove_const_t<T>>(text);
  } else if constexpr (!type_name<T>.empty()) {
    text.add(type_name<T>);
  } else if constexpr (Number<T>) {
    add_number_name<T>(text);
  } else {
    TypeNaming<T>::add(text);
  }
}

template <template <class...> class Template, class... T>
struct TypeNaming<Template<T...>> {
  static constexpr void add(TypeNameText& text) {
    text.add_spelled(spelled_template(spelling::spelled_type<Template<T...>>()));
    add_arguments<T...>(text);
  }
};

template <template <class, std::size_t> class Template, class T, std::size_t N>
struct TypeNaming<Template<T, N>> {
  static constexpr void add(TypeNameText& text) {
    text.add_spelled(spelled_template(spelling::spelled_type<Template<T, N>>()));
    text.add("<");
    add_type_name<T>(text);
    text.add(", ");
    text.add(N);
    text.add(">");
  }
};
template <class T, std::size_t N>
struct TypeNaming<T[N]> : TypeNaming<std::array<T, N>> {};

template <std::size_t N>
struct TypeNaming<std::bitset<N>> {
  static constexpr void add(TypeNameText& text) {
    text.add("std::bitset<");
    text.add(N);
    text.add(">");
  }
};
template <std::intmax_t N, std::intmax_t D>
struct TypeNaming<std::ratio<N, D>> {
  static constexpr void add(TypeNameText& text) {
    text.add(N < 0 ? "std::ratio<-" : "std::ratio<");
    text.add(static_cast<std::uint64_t>(N < 0 ? -N : N));
    text.add(", ");
    text.add(static_cast<std::uint64_t>(D));
    text.add(">");
  }
};

/// Allocators, orders and hashes are not named: they change nothing about what is written.
template <class... T>
struct ElementNaming {
  static constexpr void add(TypeNameText& text, std::string_view collection) {
    text.add(collection);
    add_arguments<T...>(text);
  }
};

template <class C, class Traits, class A>
struct TypeNaming<std::basic_string<C, Traits, A>> {
  static constexpr void add(TypeNameText& text) {
    if constexpr (sizeof(C) == 1)
      text.add("std::string");
    else
      ElementNaming<C>::add(text, "std::basic_string");
  }
};
template <class T, class A>
struct TypeNaming<std::vector<T, A>> {
  static constexpr void add(TypeNameText& text) { ElementNaming<T>::add(text, "std::vector"); }
};
template <class T, class A>
struct TypeNaming<std::deque<T, A>> {
  static constexpr void add(TypeNameText& text) { ElementNaming<T>::add(text, "std::deque"); }
};
template <class T, class A>
struct TypeNaming<std::list<T, A>> {
  static constexpr void add(TypeNameText& text) { ElementNaming<T>::add(text, "std::list"); }
};
template <class T, class C, class A>
struct TypeNaming<std::set<T, C, A>> {
  static constexpr void add(TypeNameText& text) { ElementNaming<T>::add(text, "std::set"); }
};
template <class T, class C, class A>
struct TypeNaming<std::multiset<T, C, A>> {
  static constexpr void add(TypeNameText& text) { ElementNaming<T>::add(text, "std::multiset"); }
};
template <class T, class H, class E, class A>
struct TypeNaming<std::unordered_set<T, H, E, A>> {
  static constexpr void add(TypeNameText& text) { ElementNaming<T>::add(text, "std::unordered_set"); }
};
template <class T, class H, class E, class A>
struct TypeNaming<std::unordered_multiset<T, H, E, A>> {
  static constexpr void add(TypeNameText& text) { ElementNaming<T>::add(text, "std::unordered_multiset"); }
};
template <class K, class V, class C, class A>
struct TypeNaming<std::map<K, V, C, A>> {
  static constexpr void add(TypeNameText& text) { ElementNaming<K, V>::add(text, "std::map"); }
};
template <class K, class V, class C, class A>
struct TypeNaming<std::multimap<K, V, C, A>> {
  static constexpr void add(TypeNameText& text) { ElementNaming<K, V>::add(text, "std::multimap"); }
};
template <class K, class V, class H, class E, class A>
struct TypeNaming<std::unordered_map<K, V, H, E, A>> {
  static constexpr void add(TypeNameText& text) { ElementNaming<K, V>::add(text, "std::unordered_map"); }
};
template <class K, class V, class H, class E, class A>
struct TypeNaming<std::unordered_multimap<K, V, H, E, A>> {
  static constexpr void add(TypeNameText& text) { ElementNaming<K, V>::add(text, "std::unordered_multimap"); }
};
template <class T, class D>
struct TypeNaming<std::unique_ptr<T, D>> {
  static constexpr void add(TypeNameText& text) { ElementNaming<T>::add(text, "std::unique_ptr"); }
};

/// FNV-1a in 64 bits, its halves folded into one.
constexpr std::uint32_t fingerprint_of(std::string_view name) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char letter : name) {
    hash ^= static_cast<unsigned char>(letter);
    hash *= 0x100000001b3;
  }
  return static_cast<std::uint32_t>(hash >> 32 ^ hash);
}

template <class T>
consteval std::size_t type_name_size() {
  TypeNameText counted(nullptr);
  add_type_name<T>(counted);
  return counted.size();
}

template <class T>
inline constexpr auto type_name_letters = [] {
  std::array<char, type_name_size<T>()> letters{};
  TypeNameText text(letters.data());
  add_type_name<T>(text);
  return letters;
}();

/// The name and the fingerprint of T.
template <class T>
inline constexpr TypeIdentity type_identity = [] {
  constexpr std::string_view kName{type_name_letters<T>.data(), type_name_letters<T>.size()};
  return TypeIdentity{fingerprint_of(kName), kName};
}();

}  // namespace v1
}  // namespace portolan
