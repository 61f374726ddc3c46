// SPDX-License-Identifier: Apache-2.0

// The loading archive, partner of ValueWriter: models Boost.Serialization's Loading Archive concept. The
// bytes may be hostile: every count is held against the bytes that are left, memory is only taken in
// proportion to what has been read, nesting is bounded, and whatever is wrong ends in DataCloneError.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include <portolan/type_name.hpp>
#include <portolan/value_limits.hpp>
#include <portolan/value_writer.hpp>

namespace portolan {
inline namespace v1 {

/// Throws DataCloneError: an object of a class whose `known` versions are older.
[[noreturn]] PORTOLAN_API void refuse_version(std::string_view name, std::uint64_t sent, std::uint64_t known);

struct ReadClass;

class ValueReader {
 public:
  using is_saving = boost::mpl::bool_<false>;
  using is_loading = boost::mpl::bool_<true>;

  explicit ValueReader(Source& source) noexcept
      : source_(source), memory_left_(kForeignMemoryBytes + kForeignMemoryFactor * source.left()) {}
  ValueReader(const ValueReader&) = delete;
  ValueReader& operator=(const ValueReader&) = delete;

  /// Without finish() before, empties the objects behind std::shared_ptr: half-read cycles would own each
  /// other.
  ~ValueReader() {
    if (!shared_.empty()) empty_shared();
  }

  /// The whole value has been read. Throws DataCloneError if bytes are left over.
  void finish() {
    require_end(source_);
    shared_.clear();
  }

  /// Throws DataCloneError if the bytes are not what writing a T gives. `value` is then valid, its content
  /// anything.
  template <class T>
  ValueReader& operator>>(T&& value) {
    read(value);
    return *this;
  }
  template <class T>
  ValueReader& operator&(T&& value) {
    read(value);
    return *this;
  }

  // The rest of Boost's concept.
  void load_binary(void* into, std::size_t bytes) { source_.read(into, bytes); }
  /// From here on a pointer to any base of T may lead to a T.
  template <class T>
  void register_type(const T* = nullptr);
  boost::serialization::library_version_type get_library_version() const { return kLibraryVersion; }
  unsigned get_flags() const noexcept { return 0; }
  void reset_object_address(const void*, const void*) noexcept {}  // no address of an object is kept
  void delete_created_pointers() noexcept {}                       // no raw pointer is ever created

  // For ValueForm.
  Source& source() noexcept { return source_; }

  /// What ValueWriter::write_count wrote. Throws DataCloneError for more than 64 bits or a needless last
  /// byte.
  std::uint64_t read_count() {
    const auto byte = std::to_integer<std::uint8_t>(*source_.take(1));
    return byte < 0x80 ? byte : read_long_count(byte);
  }

  /// The number of elements of a collection. Every element takes at least a byte, so there cannot be more of
  /// them than bytes are left.
  std::size_t read_size() {
    const std::uint64_t count = read_count();
    if (count > source_.left()) refuse_value("value: a collection of more elements than bytes are left");
    return static_cast<std::size_t>(count);
  }

  template <class T>
  void read_elements(T* elements, std::size_t count);

  /// The one of a registered class; null if there is none.
  PORTOLAN_API const ReadClass* registered_class(std::uint32_t fingerprint) const noexcept;

  template <class T>
  void read_shared(std::shared_ptr<T>& pointer);

  /// To be called before memory is taken because of what a message says.
  void charge(std::size_t bytes) {
    if (source_.trusted()) return;
    if (bytes > memory_left_) refuse_value("value: a foreign peer's message wants too much memory");
    memory_left_ -= bytes;
  }

  void require_trust() const {
    if (!source_.trusted()) refuse_value("value: pointers are not read from a foreign peer");
  }

 private:
  struct Shared {
    std::shared_ptr<void> object;
    const ReadClass* made;
  };

  template <class T>
  void read(T& value);
  template <class T>
  void read_coded(T& value);
  template <class T>
  void read_object(T& value);
  PORTOLAN_API std::uint64_t read_long_count(std::uint8_t first);
  PORTOLAN_API void remember(const ReadClass& registered);
  PORTOLAN_API void empty_shared() noexcept;

  Source& source_;
  std::size_t memory_left_;
  std::size_t depth_ = 0;
  std::vector<Shared> shared_;
  std::vector<const ReadClass*> registered_;
};

template <class T>
void ValueReader::read(T& value) {
  static_assert(
      !std::is_pointer_v<T> && !std::is_member_pointer_v<T> && !std::is_same_v<T, std::nullptr_t>,
      "a raw pointer inside a value: read what it points to, or use a std::unique_ptr or std::shared_ptr");
  if constexpr (std::is_const_v<T>) {
    static_assert(Formed<std::remove_const_t<T>>, "reading into a constant");
    ValueForm<std::remove_const_t<T>>::read(*this, value);  // Boost's wrappers are passed as constants
  } else if constexpr (Coded<T>) {
    read_coded(value);
  } else if constexpr (Number<T>) {
    value = read_number<T>(source_);
  } else if constexpr (Formed<T>) {
    ValueForm<T>::read(*this, value);
  } else if constexpr (Plain<T>) {
    source_.read(&value, sizeof value);
  } else {
    read_object(value);
  }
}

template <class T>
void ValueReader::read_coded(T& value) {
  const std::uint64_t bytes = read_number<std::uint64_t>(source_);
  const std::size_t hidden = source_.hide_after(bytes);
  value = codec<T>::read(source_);
  require_end(source_);
  source_.show(hidden);
}

template <class T>
void ValueReader::read_object(T& value) {
  constexpr std::uint64_t kVersion = boost::serialization::version<T>::value;
  std::uint64_t version = kVersion;
  if (++depth_ > kDepthLimit) refuse_value("value: objects nested deeper than the limit");
  if constexpr (is_versioned<T>) {
    version = read_count();
    if (version > kVersion) [[unlikely]]
      refuse_version(type_identity<T>.name, version, kVersion);
  }
  boost::serialization::serialize_adl(*this, value, static_cast<unsigned>(version));
  --depth_;
}

template <class T>
void ValueReader::read_elements(T* elements, std::size_t count) {
  if constexpr (is_bulk<T>) {
    if (count > source_.left() / sizeof(T))
      refuse_value("value: a collection longer than the bytes that are left");
    source_.read(elements, count * sizeof(T));
  } else {
    for (std::size_t i = 0; i < count; ++i) read(elements[i]);
  }
}

}  // namespace v1
}  // namespace portolan
