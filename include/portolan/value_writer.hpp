// SPDX-License-Identifier: Apache-2.0

// The saving archive: models Boost.Serialization's Saving Archive concept and writes straight into a message.
// It does not derive from Boost's common_oarchive, whose every construction and every class met costs a heap
// allocation, and whose encoding is Boost's. docs/values.md has the encoding, byte by byte.
#pragma once

#include <boost/mpl/bool.hpp>
#include <boost/serialization/array_wrapper.hpp>
#include <boost/serialization/binary_object.hpp>
#include <boost/serialization/collection_size_type.hpp>
#include <boost/serialization/item_version_type.hpp>
#include <boost/serialization/level.hpp>
#include <boost/serialization/library_version_type.hpp>
#include <boost/serialization/nvp.hpp>
#include <boost/serialization/serialization.hpp>
#include <boost/serialization/version.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <type_traits>
#include <typeindex>
#include <utility>
#include <vector>

#include <portolan/codec.hpp>
#include <portolan/value_limits.hpp>

namespace portolan {
inline namespace v1 {

/// How a type of the standard library or of Boost.Serialization is written and read; see
/// <portolan/value_forms.hpp>.
template <class T>
struct ValueForm;

template <class T>
concept Formed = requires {
  sizeof(ValueForm<T>);
};

/// Whether a class's objects are preceded by its version: Boost's default for classes;
/// BOOST_CLASS_IMPLEMENTATION(T, object_serializable) saves the byte, and gives up changing the class later.
template <class T>
inline constexpr bool is_versioned =
    boost::serialization::implementation_level<T>::value >= boost::serialization::object_class_info;

struct WrittenClass;

class ValueWriter {
 public:
  using is_saving = boost::mpl::bool_<true>;
  using is_loading = boost::mpl::bool_<false>;

  ValueWriter(Sink& sink, Ownership ports) noexcept : sink_(sink), ports_(ports) {}
  ValueWriter(const ValueWriter&) = delete;
  ValueWriter& operator=(const ValueWriter&) = delete;

  /// Throws DataCloneError for what cannot be written, and whatever the sink and a `serialize` throw.
  template <class T>
  ValueWriter& operator<<(const T& value) {
    write(value);
    return *this;
  }
  template <class T>
  ValueWriter& operator&(const T& value) {
    return *this << value;
  }

  // The rest of Boost's concept.
  void save_binary(const void* data, std::size_t bytes) { sink_.write(data, bytes); }
  /// From here on a pointer to any base of T may lead to a T.
  template <class T>
  void register_type(const T* = nullptr);
  boost::serialization::library_version_type get_library_version() const { return kLibraryVersion; }
  unsigned get_flags() const noexcept { return 0; }

  // For ValueForm.
  Sink& sink() noexcept { return sink_; }
  Ownership ports() const noexcept { return ports_; }
  std::size_t written() const noexcept { return sink_.written(); }

  /// A count, an index or a version: 7 bits a byte, lowest first, the top bit says that more follow.
  void write_count(std::uint64_t count) {
    if (count < 0x80) {
      const auto byte = static_cast<std::uint8_t>(count);
      sink_.write(&byte, 1);
    } else {
      write_long_count(count);
    }
  }

  /// `count` elements one after the other, in one piece where that is the same.
  template <class T>
  void write_elements(const T* elements, std::size_t count);

  /// The one of a registered class; null if there is none.
  PORTOLAN_API const WrittenClass* registered_class(const std::type_info& type) const noexcept;

  /// Writes what `pointer` owns, or only its number if it was written before. Keeps it alive meanwhile, so
  /// that no other object gets its address.
  template <class T>
  void write_shared(const std::shared_ptr<T>& pointer);

  void require_trust() const {
    if (!sink_.trusted()) refuse_value("value: pointers cannot be posted to a foreign peer");
  }

 private:
  struct Shared {
    std::uint64_t number;
    std::shared_ptr<const void> keep;
  };

  template <class T>
  void write(const T& value);
  template <class T>
  void write_coded(const T& value);
  template <class T>
  void write_object(const T& value);
  PORTOLAN_API void write_long_count(std::uint64_t count);
  PORTOLAN_API void remember(const WrittenClass& registered);

  Sink& sink_;
  Ownership ports_;
  std::size_t depth_ = 0;
  std::vector<const WrittenClass*> registered_;
  std::map<std::pair<const void*, std::type_index>, Shared> shared_;  // no allocation while it is empty
};

template <class T>
void ValueWriter::write(const T& value) {
  static_assert(
      !std::is_pointer_v<T> && !std::is_member_pointer_v<T> && !std::is_same_v<T, std::nullptr_t>,
      "a raw pointer inside a value: write what it points to, or use a std::unique_ptr or std::shared_ptr");
  if constexpr (Coded<T>) {
    write_coded(value);
  } else if constexpr (Number<T>) {
    write_number<T>(sink_, value);
  } else if constexpr (Formed<T>) {
    ValueForm<T>::write(*this, value);
  } else if constexpr (Plain<T>) {
    static_assert(std::is_trivially_copyable_v<T>, "is_plain<T> is only for trivially copyable types");
    sink_.write(&value, sizeof value);
  } else {
    write_object(value);
  }
}

template <class T>
void ValueWriter::write_coded(const T& value) {
  std::uint64_t bytes = 0;
  const std::size_t at = sink_.written();
  sink_.write(&bytes, sizeof bytes);
  portolan::write_coded(value, sink_, ports_);
  bytes = sink_.written() - at - sizeof bytes;
  sink_.overwrite(at, &bytes, sizeof bytes);
}

template <class T>
void ValueWriter::write_object(const T& value) {
  static_assert(
      boost::serialization::implementation_level<T>::value >= boost::serialization::object_serializable,
      "this type has neither a `serialize` nor a form of its own: give it one, or a portolan::codec");
  constexpr int kVersion = boost::serialization::version<T>::value;
  if (++depth_ > kDepthLimit) refuse_value("value: objects nested deeper than the limit");
  if constexpr (is_versioned<T>) write_count(kVersion);
  boost::serialization::serialize_adl(*this, const_cast<T&>(value), static_cast<unsigned>(kVersion));
  --depth_;
}

template <class T>
void ValueWriter::write_elements(const T* elements, std::size_t count) {
  if constexpr (is_bulk<T>) {
    sink_.write(elements, count * sizeof(T));
  } else {
    for (std::size_t i = 0; i < count; ++i) write(elements[i]);
  }
}

}  // namespace v1
}  // namespace portolan
