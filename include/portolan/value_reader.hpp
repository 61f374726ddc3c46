// SPDX-License-Identifier: Apache-2.0

// The loading archive, partner of ValueWriter: models Boost.Serialization's Loading Archive concept. The
// bytes may be hostile: every count is held against the bytes that are left, memory is only taken in
// proportion to what has been read, nesting is bounded, and whatever is wrong ends in DataCloneError.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <portolan/lane/payload_copy.hpp>
#include <portolan/type_name.hpp>
#include <portolan/value_limits.hpp>
#include <portolan/value_writer.hpp>

namespace portolan {
inline namespace v1 {

/// Throws DataCloneError: an object of a class whose `known` versions are older.
[[noreturn, gnu::cold]] PORTOLAN_API void refuse_version(std::string_view name, std::uint64_t sent,
                                                         std::uint64_t known);

struct ReadClass;

/// What an archive shares with those of the objects inside: what the value comes with, and what pointers have
/// led to.
class ReaderState {
 public:
  explicit ReaderState(Source& from) noexcept
      : source(from), memory_left_(kForeignMemoryBytes + kForeignMemoryFactor * from.left()) {}
  ReaderState(const ReaderState&) = delete;
  ReaderState& operator=(const ReaderState&) = delete;

  /// Without finish() before, empties the objects behind std::shared_ptr: half-read cycles would own each
  /// other.
  ~ReaderState() {
    if (!shared_.empty()) [[unlikely]]
      empty_shared();
  }

  /// The whole value has been read.
  void finish() noexcept { shared_.clear(); }

  /// To be called before memory is taken because of what a message says.
  void charge(std::size_t bytes) {
    if (source.trusted()) return;
    if (bytes > memory_left_) refuse_value("value: a foreign peer's message wants too much memory");
    memory_left_ -= bytes;
  }

  struct Shared {
    std::shared_ptr<void> object;
    const ReadClass* made;
  };
  /// The objects that pointers have led to, in the order of their numbers.
  std::vector<Shared>& shared() noexcept { return shared_; }

  /// The one of a registered class; null if there is none.
  PORTOLAN_API const ReadClass* registered_class(std::uint32_t fingerprint) const noexcept;
  PORTOLAN_API void remember(const ReadClass& registered);

  Source& source;

 private:
  PORTOLAN_API void empty_shared() noexcept;

  std::size_t memory_left_;
  std::vector<Shared> shared_;
  std::vector<const ReadClass*> registered_;
};

class ValueReader {
 public:
  using is_saving = boost::mpl::bool_<false>;
  using is_loading = boost::mpl::bool_<true>;

  /// A whole value, behind what stands in front of it. Throws DataCloneError if the bytes are not what
  /// writing a T gives, or if some are left over. `value` is then valid, its content anything.
  template <class T>
  PORTOLAN_FLATTEN static void read_whole(Source& source, T& value) {
    ReaderState state(source);
    ValueReader reader(state, source.cursor_, source.end_, 0);
    if constexpr (is_object<T>)
      reader.read_object(value);
    else
      reader.read(value);
    source.cursor_ = reader.cursor_;
    require_end(source);
    state.finish();
  }

  explicit ValueReader(ReaderState& state) noexcept
      : ValueReader(state, state.source.cursor_, state.source.end_, 0) {}
  ValueReader(const ValueReader&) = delete;
  ValueReader& operator=(const ValueReader&) = delete;

  template <class T>
  [[gnu::always_inline]] PORTOLAN_FLATTEN ValueReader& operator>>(T&& value) {
    read(value);
    return *this;
  }
  template <class T>
  [[gnu::always_inline]] PORTOLAN_FLATTEN ValueReader& operator&(T&& value) {
    read(value);
    return *this;
  }

  // The rest of Boost's concept.
  void load_binary(void* into, std::size_t bytes) {
    const std::byte* const from = take(bytes);
    if (bytes != 0) lane::copy_payload(into, from, bytes);
  }
  /// From here on a pointer to any base of T may lead to a T.
  template <class T>
  void register_type(const T* = nullptr);
  boost::serialization::library_version_type get_library_version() const { return kLibraryVersion; }
  unsigned get_flags() const noexcept { return 0; }
  void reset_object_address(const void*, const void*) noexcept {}  // no address of an object is kept
  void delete_created_pointers() noexcept {}                       // no raw pointer is ever created

  // For ValueForm.
  ReaderState& state() noexcept { return state_; }

  std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - cursor_); }

  /// The next `bytes` bytes, at any alignment. Throws DataCloneError if fewer are left.
  const std::byte* take(std::size_t bytes) {
    if (bytes > left()) [[unlikely]]
      refuse_short(bytes, left());
    return std::exchange(cursor_, cursor_ + bytes);
  }

  template <Number T>
  T number() {
    if constexpr (std::is_enum_v<T>) {
      return static_cast<T>(number<std::underlying_type_t<T>>());
    } else if constexpr (std::is_same_v<T, bool>) {
      const auto byte = std::to_integer<unsigned>(*take(1));
      if (byte > 1) [[unlikely]]
        refuse_value("value: a bool that is neither 0 nor 1");
      return byte == 1;
    } else if constexpr (std::is_same_v<T, long double>) {
      Binary128 wide;
      std::memcpy(&wide, take(sizeof wide), sizeof wide);
      return from_binary128(wide);
    } else {
      T number;
      std::memcpy(&number, take(sizeof number), sizeof number);
      return number;
    }
  }

  /// What ValueWriter::write_count wrote. Throws DataCloneError for more than 64 bits or a needless last
  /// byte.
  std::uint64_t read_count() {
    const auto byte = std::to_integer<std::uint8_t>(*take(1));
    if (byte < 0x80) [[likely]]
      return byte;
    const LongCount rest = read_long_count(byte, cursor_, end_);
    cursor_ = rest.cursor;
    return rest.count;
  }

  /// The index of a port, a buffer or a descriptor. Throws DataCloneError for one that no message has.
  std::uint32_t read_index() {
    const std::uint64_t index = read_count();
    if (index > UINT32_MAX) refuse_value("value: a port, buffer or descriptor with an absurd index");
    return static_cast<std::uint32_t>(index);
  }

  /// The number of elements of a collection. Every element takes at least a byte, so there cannot be more of
  /// them than bytes are left.
  std::size_t read_size() {
    const std::uint64_t count = read_count();
    if (count > left()) [[unlikely]]
      refuse_value("value: a collection of more elements than bytes are left");
    return static_cast<std::size_t>(count);
  }

  template <class T>
  void read_elements(T* elements, std::size_t count);

  template <class T>
  void read_shared(std::shared_ptr<T>& pointer);

  /// Has another archive read `value`: `other` is given where, and says where it has come to.
  template <class Value>
  void go_on(const std::byte* (*other)(ReaderState&, const std::byte* cursor, const std::byte* end,
                                       std::size_t depth, Value value),
             std::type_identity_t<Value> value) {
    cursor_ = other(state_, cursor_, end_, depth_, value);
  }

  /// An archive for one value inside another.
  template <class T>
  [[gnu::noinline]] PORTOLAN_FLATTEN static const std::byte* read_apart(ReaderState& state,
                                                                        const std::byte* cursor,
                                                                        const std::byte* end,
                                                                        std::size_t depth, T& value) {
    ValueReader reader(state, cursor, end, depth);
    if constexpr (is_object<T>)
      reader.read_object(value);
    else
      reader.read(value);
    return reader.cursor_;
  }

  void require_trust() const {
    if (!state_.source.trusted()) refuse_value("value: pointers are not read from a foreign peer");
  }

 private:
  struct LongCount {
    std::uint64_t count;
    const std::byte* cursor;
  };

  ValueReader(ReaderState& state, const std::byte* cursor, const std::byte* end, std::size_t depth) noexcept
      : state_(state), cursor_(cursor), end_(end), depth_(depth) {}

  template <class T>
  void read(T& value);
  template <class T>
  void read_object(T& value);
  template <class T>
  [[gnu::noinline]] static const std::byte* read_codec(ReaderState& state, const std::byte* cursor,
                                                       const std::byte* end, std::size_t depth, T& value);

  PORTOLAN_API static LongCount read_long_count(std::uint8_t first, const std::byte* cursor,
                                                const std::byte* end);

  ReaderState& state_;
  const std::byte* cursor_;
  const std::byte* end_;
  std::size_t depth_;
};

template <class T>
PORTOLAN_FLATTEN void ValueReader::read(T& value) {
  static_assert(
      !std::is_pointer_v<T> && !std::is_member_pointer_v<T> && !std::is_same_v<T, std::nullptr_t>,
      "a raw pointer inside a value: read what it points to, or use a std::unique_ptr or std::shared_ptr");
  if constexpr (std::is_const_v<T>) {
    static_assert(Formed<std::remove_const_t<T>>, "reading into a constant");
    ValueForm<std::remove_const_t<T>>::read(*this, value);  // Boost's wrappers are passed as constants
  } else if constexpr (Coded<T>) {
    go_on(read_codec<T>, value);
  } else if constexpr (Number<T>) {
    value = number<T>();
  } else if constexpr (Formed<T>) {
    ValueForm<T>::read(*this, value);
  } else if constexpr (Plain<T>) {
    load_binary(&value, sizeof value);
  } else if constexpr (sizeof(T) <= kSmallObjectBytes) {
    read_object(value);
  } else {
    go_on(read_apart<T>, value);
  }
}

template <class T>
const std::byte* ValueReader::read_codec(ReaderState& state, const std::byte* cursor, const std::byte*,
                                         std::size_t, T& value) {
  Source& source = state.source;
  source.cursor_ = cursor;
  const std::uint64_t bytes = read_number<std::uint64_t>(source);
  const std::size_t hidden = source.hide_after(bytes);
  value = codec<T>::read(source);
  require_end(source);
  source.show(hidden);
  return source.cursor_;
}

template <class T>
PORTOLAN_FLATTEN void ValueReader::read_object(T& value) {
  constexpr std::uint64_t kVersion = boost::serialization::version<T>::value;
  std::uint64_t version = kVersion;
  if (++depth_ > kDepthLimit) [[unlikely]]
    refuse_value("value: objects nested deeper than the limit");
  if constexpr (is_versioned<T>) {
    version = read_count();
    if (version > kVersion) [[unlikely]]
      refuse_version(type_identity<T>.name, version, kVersion);
  }
  serialize_object(*this, value, static_cast<unsigned>(version));
  --depth_;
}

template <class T>
void ValueReader::read_elements(T* elements, std::size_t count) {
  if constexpr (is_bulk<T>) {
    if (count > left() / sizeof(T)) refuse_value("value: a collection longer than the bytes that are left");
    load_binary(elements, count * sizeof(T));
  } else {
    for (std::size_t i = 0; i < count; ++i) read(elements[i]);
  }
}

}  // namespace v1
}  // namespace portolan
