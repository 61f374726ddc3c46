// SPDX-License-Identifier: Apache-2.0

// Objects behind smart pointers, between peers that trust each other: what several pointers lead to stays one
// object, cycles stay cycles, and a pointer to a base may lead to an object of any class registered for it.
// Which class that is the message says by the fingerprint of its name, and only classes that the reader has
// registered for just this base are looked at: nothing in a message can make one type pass for another.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <typeinfo>

#include <portolan/type_name.hpp>
#include <portolan/value_reader.hpp>
#include <portolan/value_writer.hpp>

namespace portolan {
inline namespace v1 {

/// A list of classes.
template <class... T>
struct types {};

/// Specialise for a polymorphic class to say which classes derived from it may stand behind pointers to it.
/// Each program lists those that it knows; their order is of no account.
///   template <> struct portolan::derived_of<Shape> : portolan::types<Circle, Square> {};
/// Boost's `archive.template register_type<Circle>()` within a `serialize`, at both ends, does the same.
template <class Base>
struct derived_of : types<> {};

template <class Base, class... Derived>
consteval bool is_derived_list(types<Derived...>) {
  static_assert((std::derived_from<Derived, Base> && ...),
                "derived_of<Base> lists a class that is not derived");
  static_assert((!std::same_as<Derived, Base> && ...), "derived_of<Base> does not list Base itself");
  static_assert((!std::is_abstract_v<Derived> && ...), "derived_of<Base> lists classes that have objects");
  static_assert((std::is_default_constructible_v<Derived> && ...), "an object is first made, then read");
  constexpr std::uint32_t kPrints[] = {type_identity<Base>.fingerprint,
                                       type_identity<Derived>.fingerprint...};
  for (const std::uint32_t& print : kPrints)
    for (const std::uint32_t* other = kPrints; other != &print; ++other)
      if (*other == print) return false;
  return true;
}

/// Throws DataCloneError: no object of a class that may stand behind a pointer to `base`.
[[noreturn]] PORTOLAN_API void refuse_unregistered(std::string_view base, const std::type_info& written);
[[noreturn]] PORTOLAN_API void refuse_unregistered(std::string_view base, std::uint32_t read_fingerprint);

/// How an object of one class is written when a pointer to it, or to a base, leads there.
struct WrittenClass {
  const std::type_info* type;
  std::uint32_t fingerprint;
  ValueWriter::Room (*write)(WriterState&, ValueWriter::Room, std::size_t depth, const void* object);
};
template <class T>
inline constexpr WrittenClass written_class{
    &typeid(T), type_identity<T>.fingerprint,
    [](WriterState& state, ValueWriter::Room room, std::size_t depth, const void* object) {
      return ValueWriter::write_apart(state, room, depth, *static_cast<const T*>(object));
    }};

/// How an object of one class is made and read. `raise` throws the object's address as a T*, so that a
/// handler for a pointer to a base gets it only if T has that base.
struct ReadClass {
  const std::type_info* type;
  std::uint32_t fingerprint;
  std::shared_ptr<void> (*share)();
  void* (*make)();
  void (*destroy)(void* object);
  const std::byte* (*read)(ReaderState&, const std::byte* cursor, const std::byte* end, std::size_t depth,
                           void* object);
  void (*empty)(void* object);
  void (*raise)(void* object);
};
template <class T>
inline constexpr ReadClass read_class{
    &typeid(T),
    type_identity<T>.fingerprint,
    []() -> std::shared_ptr<void> { return std::make_shared<T>(); },
    []() -> void* { return new T(); },
    [](void* object) { delete static_cast<T*>(object); },
    [](ReaderState& state, const std::byte* cursor, const std::byte* end, std::size_t depth, void* object) {
      return ValueReader::read_apart(state, cursor, end, depth, *static_cast<T*>(object));
    },
    [](void* object) {
      if constexpr (std::is_move_assignable_v<T>) *static_cast<T*>(object) = T{};
    },
    [](void* object) { throw static_cast<T*>(object); }};

template <class Base, class... Derived>
const WrittenClass* listed_class([[maybe_unused]] const std::type_info& type, types<Derived...> list) {
  static_assert(is_derived_list<Base>(list), "derived_of<Base> lists two classes of one name");
  const WrittenClass* found = nullptr;
  (void)((type == typeid(Derived) && (found = &written_class<Derived>)) || ...);
  return found;
}

/// Writes what a pointer leads to: behind the fingerprint of its class if T is polymorphic.
template <class T>
void write_object_behind(ValueWriter& writer, const T& object) {
  if constexpr (!std::is_polymorphic_v<T>) {
    writer.go_on(written_class<T>.write, &object);
  } else {
    const std::type_info& type = typeid(object);
    const WrittenClass* found = nullptr;
    if constexpr (!std::is_abstract_v<T>)
      if (type == typeid(T)) found = &written_class<T>;
    if (found == nullptr) found = listed_class<T>(type, derived_of<T>{});
    if (found == nullptr) found = writer.state().registered_class(type);
    if (found == nullptr) refuse_unregistered(type_identity<T>.name, type);
    writer << found->fingerprint;
    writer.go_on(found->write, dynamic_cast<const void*>(&object));
  }
}

template <class Base, class... Derived>
const ReadClass* listed_class([[maybe_unused]] std::uint32_t fingerprint, types<Derived...> list) {
  static_assert(is_derived_list<Base>(list), "derived_of<Base> lists two classes of one name");
  const ReadClass* found = nullptr;
  (void)((fingerprint == type_identity<Derived>.fingerprint && (found = &read_class<Derived>)) || ...);
  return found;
}

/// The class of the object that comes next. Throws DataCloneError if it cannot stand behind a pointer to T.
template <class T>
const ReadClass& read_class_behind(ValueReader& reader) {
  if constexpr (!std::is_polymorphic_v<T>) {
    return read_class<T>;
  } else {
    const auto fingerprint = reader.number<std::uint32_t>();
    const ReadClass* found = nullptr;
    if constexpr (!std::is_abstract_v<T>)
      if (fingerprint == type_identity<T>.fingerprint) found = &read_class<T>;
    if (found == nullptr) found = listed_class<T>(fingerprint, derived_of<T>{});
    if (found == nullptr) found = reader.state().registered_class(fingerprint);
    if (found == nullptr) refuse_unregistered(type_identity<T>.name, fingerprint);
    return *found;
  }
}

template <class Base, class... Derived>
Base* listed_upcast([[maybe_unused]] const std::type_info& type, [[maybe_unused]] void* object,
                    types<Derived...>) {
  Base* base = nullptr;
  (void)((type == typeid(Derived) && (base = static_cast<Derived*>(object))) || ...);
  return base;
}

/// The T that `object` of class `made` is, or has as a base. Throws DataCloneError if there is none.
template <class T>
T* as_base(const ReadClass& made, void* object) {
  if (*made.type == typeid(T)) return static_cast<T*>(object);
  if constexpr (std::is_polymorphic_v<T>) {
    if (T* const base = listed_upcast<T>(*made.type, object, derived_of<T>{})) return base;
    try {
      made.raise(object);
    } catch (T* const base) {
      return base;
    } catch (...) {  // a pointer to a class without a T, or with several
    }
  }
  refuse_value("value: a reference to an object of another type");
}

template <class T>
void ValueWriter::register_type(const T*) {
  if constexpr (std::is_polymorphic_v<T> && !std::is_abstract_v<T>) state_.remember(written_class<T>);
}

template <class T>
void ValueReader::register_type(const T*) {
  if constexpr (std::is_polymorphic_v<T> && !std::is_abstract_v<T>) state_.remember(read_class<T>);
}

template <class T>
void ValueWriter::write_shared(const std::shared_ptr<T>& pointer) {
  require_trust();
  if (pointer == nullptr) return write_count(0);
  const void* object = pointer.get();
  const std::type_info* type = &typeid(T);
  if constexpr (std::is_polymorphic_v<T>) {
    object = dynamic_cast<const void*>(pointer.get());
    type = &typeid(*pointer.get());
  }
  const WriterState::Shared shared = state_.number_of(object, *type, pointer);
  write_count(shared.number);
  if (shared.is_new) write_object_behind(*this, std::as_const(*pointer));
}

template <class T>
void ValueReader::read_shared(std::shared_ptr<T>& pointer) {
  using Object = std::remove_const_t<T>;
  static_assert(std::is_abstract_v<Object> ||
                    (std::is_default_constructible_v<Object> && std::is_move_assignable_v<Object>),
                "an object behind a std::shared_ptr is first made, then read, and emptied if that fails");
  require_trust();
  const std::uint64_t number = read_count();
  if (number == 0) return pointer.reset();
  std::vector<ReaderState::Shared>& known = state_.shared();
  if (number > known.size() + 1) refuse_value("value: a reference to an object that has not been sent");
  if (number <= known.size()) {
    const ReaderState::Shared& shared = known[number - 1];
    pointer = {shared.object, as_base<Object>(*shared.made, shared.object.get())};
    return;
  }
  const ReadClass& made = read_class_behind<Object>(*this);
  std::shared_ptr<void> object = made.share();
  pointer = {object, as_base<Object>(made, object.get())};
  void* const content = object.get();
  known.push_back({std::move(object), &made});  // before its content, which may refer back to it
  go_on(made.read, content);
}

/// As std::optional, but between trusting peers only, and perhaps of a class derived from T.
template <class T>
struct ValueForm<std::unique_ptr<T>> {
  static_assert(!std::is_array_v<T>, "a std::unique_ptr to an array does not know its size: use std::vector");
  static_assert(!std::is_polymorphic_v<T> || std::has_virtual_destructor_v<T> || std::is_final_v<T>,
                "a std::unique_ptr to a polymorphic class deletes through its virtual destructor");
  using Object = std::remove_const_t<T>;

  static void write(ValueWriter& writer, const std::unique_ptr<T>& pointer) {
    writer.require_trust();
    writer << (pointer != nullptr);
    if (pointer != nullptr) write_object_behind(writer, std::as_const(*pointer));
  }
  static void read(ValueReader& reader, std::unique_ptr<T>& pointer) {
    reader.require_trust();
    pointer.reset();
    if (!reader.number<bool>()) return;
    const ReadClass& made = read_class_behind<Object>(reader);
    std::unique_ptr<void, void (*)(void*)> object(made.make(), made.destroy);
    pointer.reset(as_base<Object>(made, object.get()));
    reader.go_on(made.read, object.release());
  }
};

/// 0 for an empty one; for an object met before its number; for a new one the next number, from 1 on, then
/// the object. Several pointers to one object, also to bases of it, and cycles come out as such. Between
/// trusting peers only.
template <class T>
struct ValueForm<std::shared_ptr<T>> {
  static void write(ValueWriter& writer, const std::shared_ptr<T>& pointer) { writer.write_shared(pointer); }
  static void read(ValueReader& reader, std::shared_ptr<T>& pointer) { reader.read_shared(pointer); }
};

/// As the std::shared_ptr that it locks to.
template <class T>
struct ValueForm<std::weak_ptr<T>> {
  static void write(ValueWriter& writer, const std::weak_ptr<T>& pointer) {
    writer.write_shared(pointer.lock());
  }
  static void read(ValueReader& reader, std::weak_ptr<T>& pointer) {
    std::shared_ptr<T> locked;
    reader.read_shared(locked);
    pointer = locked;
  }
};

}  // namespace v1
}  // namespace portolan
