// SPDX-License-Identifier: Apache-2.0

// The saving archive: models Boost.Serialization's Saving Archive concept and writes straight into a message.
// It does not derive from Boost's common_oarchive, whose every construction and every class met costs a heap
// allocation, and whose encoding is Boost's. docs/values.md has the encoding, byte by byte.
//
// An archive is a cursor that the compiler can keep in registers while one object is written: everything of
// the object is inlined (flatten), and whatever is not is given the cursor and gives it back, so that nobody
// has the archive's address.
#pragma once

#include <algorithm>
#include <array>
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
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include <portolan/codec.hpp>
#include <portolan/lane/payload_copy.hpp>
#include <portolan/value_limits.hpp>
#include <portolan/value_serialize.hpp>

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

/// What is written and read by its `serialize`.
template <class T>
inline constexpr bool is_object = !Coded<T> && !Number<T> && !Formed<T> && !Plain<T>;

/// Whether a class's objects are preceded by its version: Boost's default for classes;
/// BOOST_CLASS_IMPLEMENTATION(T, object_serializable) saves the byte, and gives up changing the class later.
template <class T>
inline constexpr bool is_versioned =
    boost::serialization::implementation_level<T>::value >= boost::serialization::object_class_info;

/// Whether T itself has a public `serialize`. It is called without going through Boost's, so that clang
/// inlines it, too. One that is inherited may not be what Boost would choose.
template <class T, class Archive>
inline constexpr bool has_serialize = requires(T& value, Archive& archive) {
  value.serialize(archive, 0U);  // clang 14 asks here, and not below, whether it may be called from outside
  requires std::is_same_v<decltype(&T::template serialize<Archive>), void (T::*)(Archive&, unsigned)>;
};

/// Has an object write itself, or read itself.
template <class T, class Archive>
PORTOLAN_FLATTEN void serialize_object(Archive& archive, T& value, unsigned version) {
  if constexpr (has_serialize<T, Archive>) {
    value.serialize(archive, version);
  } else {
    constexpr bool kCan = serialize_search::may_be_there<T, Archive>();
    static_assert(kCan,
                  "this class has no `serialize`: give it template <class Archive> void serialize(Archive& "
                  "archive, unsigned version) { archive & its & members; }, or a portolan::codec, or make it "
                  "portolan::is_plain");
    if constexpr (kCan) boost::serialization::serialize_adl(archive, value, version);
  }
}

struct WrittenClass;
class WrittenPointers;

/// What an archive shares with those of the objects inside: where the value goes, and what pointers have led
/// to.
class WriterState {
 public:
  WriterState(Sink& to, Ownership of_ports) noexcept : sink(to), ports(of_ports) {}
  WriterState(const WriterState&) = delete;
  WriterState& operator=(const WriterState&) = delete;
  ~WriterState() {
    if (pointers_ != nullptr) [[unlikely]]
      forget();
  }

  struct Shared {
    std::uint64_t number;  ///< from 1 on
    bool is_new;
  };
  /// The number of an object that a std::shared_ptr leads to. Keeps it alive meanwhile, so that no other one
  /// gets its address.
  PORTOLAN_API Shared number_of(const void* object, const std::type_info& type,
                                std::shared_ptr<const void> keep);

  /// The one of a registered class; null if there is none.
  PORTOLAN_API const WrittenClass* registered_class(const std::type_info& type) const noexcept;
  PORTOLAN_API void remember(const WrittenClass& registered);

  Sink& sink;
  const Ownership ports;

 private:
  PORTOLAN_API void forget() noexcept;

  WrittenPointers* pointers_ = nullptr;  // owned; made when the first pointer is written
};

class ValueWriter {
 public:
  using is_saving = boost::mpl::bool_<true>;
  using is_loading = boost::mpl::bool_<false>;

  /// Where the next byte goes, and what ends there.
  struct Room {
    std::byte* cursor;
    std::byte* end;
  };

  /// A whole value: what goes in front of it, then the value. Throws DataCloneError for what cannot be
  /// written, and whatever the sink and a `serialize` throw.
  template <std::size_t N, class T>
  PORTOLAN_FLATTEN static void write_whole(const std::array<std::byte, N>& head, const T& value, Sink& sink,
                                           Ownership ports) {
    WriterState state(sink, ports);
    ValueWriter writer(state, {sink.cursor_, sink.end_}, 0);
    if constexpr (is_object<T>) writer.promise(N + kPromisedBytes<T>);
    writer.put<N>(head.data());
    if constexpr (is_object<T>)
      writer.write_object(value);
    else
      writer.write(value);
    sink.cursor_ = writer.cursor_;
  }

  ValueWriter(const ValueWriter&) = delete;
  ValueWriter& operator=(const ValueWriter&) = delete;

  template <class T>
  [[gnu::always_inline]] PORTOLAN_FLATTEN ValueWriter& operator<<(const T& value) {
    write(value);
    return *this;
  }
  template <class T>
  [[gnu::always_inline]] PORTOLAN_FLATTEN ValueWriter& operator&(const T& value) {
    write(value);
    return *this;
  }

  // The rest of Boost's concept.
  void save_binary(const void* data, std::size_t bytes) {
    if (bytes > static_cast<std::size_t>(end_ - cursor_) - promised_bytes_) [[unlikely]]
      grow(bytes + promised_bytes_);
    if (bytes != 0) lane::copy_payload(cursor_, data, bytes);
    cursor_ += bytes;
  }
  /// From here on a pointer to any base of T may lead to a T.
  template <class T>
  void register_type(const T* = nullptr);
  boost::serialization::library_version_type get_library_version() const { return kLibraryVersion; }
  unsigned get_flags() const noexcept { return 0; }

  using LongCount = std::array<std::uint8_t, 10>;  ///< 64 bits, 7 a byte

  // For ValueForm.
  WriterState& state() noexcept { return state_; }
  /// Has a port, a buffer or a descriptor go along and writes its index.
  template <class Transferable>
  void attach(Transferable& transferable) {
    write_count(state_.sink.attach(transferable, state_.ports));
  }
  void attach(const BufferView& view) { write_count(state_.sink.attach(view)); }
  std::size_t written() const noexcept { return static_cast<std::size_t>(cursor_ - state_.sink.begin_); }

  /// A count, an index or a version: 7 bits a byte, lowest first, the top bit says that more follow.
  void write_count(std::uint64_t count) {
    if (count < 0x80) [[likely]] {
      const auto byte = static_cast<std::uint8_t>(count);
      put<1>(&byte);
    } else {
      LongCount bytes;
      save_binary(&bytes, split(count, bytes));
    }
  }

  /// `count` elements one after the other, in one piece where that is the same.
  template <class T>
  void write_elements(const T* elements, std::size_t count);

  /// Calls `write` for each element.
  template <class Elements, class Write>
  void write_each(const Elements& elements, Write write) {
    const std::size_t promised_bytes = promised_bytes_;
    for (const auto& element : elements) {
      promised_bytes_ = 0;  // a constant again, whatever the last element took
      write(element);
    }
    promised_bytes_ = 0;
    promise(promised_bytes);
  }

  /// Writes what `pointer` owns, or only its number if it was written before.
  template <class T>
  void write_shared(const std::shared_ptr<T>& pointer);

  /// Has another archive write `value`: `other` is given where, and says where it has come to.
  template <class Value>
  void go_on(Room (*other)(WriterState&, Room, std::size_t depth, Value value),
             std::type_identity_t<Value> value) {
    const Room room = other(state_, {cursor_, end_}, depth_, value);
    cursor_ = room.cursor;
    end_ = room.end;
    promise(std::exchange(promised_bytes_, 0));
  }

  /// An archive for one value inside another.
  template <class T>
  [[gnu::noinline]] PORTOLAN_FLATTEN static Room write_apart(WriterState& state, Room room, std::size_t depth,
                                                             const T& value) {
    ValueWriter writer(state, room, depth);
    if constexpr (is_object<T>)
      writer.write_object(value);
    else
      writer.write(value);
    return {writer.cursor_, writer.end_};
  }

  void require_trust() const {
    if (!state_.sink.trusted()) refuse_value("value: pointers cannot be posted to a foreign peer");
  }

 private:
  // What an object's own numbers take at most; more than that is asked for where it is written.
  template <class T>
  static constexpr std::size_t kPromisedBytes = std::min<std::size_t>(1 + sizeof(T), 256);

  ValueWriter(WriterState& state, Room room, std::size_t depth) noexcept
      : state_(state), cursor_(room.cursor), end_(room.end), depth_(depth) {}

  // Room for so many bytes, which need not be asked for again.
  void promise(std::size_t bytes) {
    if (bytes <= promised_bytes_) return;
    if (bytes > static_cast<std::size_t>(end_ - cursor_)) [[unlikely]]
      grow(bytes);
    promised_bytes_ = bytes;
  }

  void grow(std::size_t bytes) {
    const Room room = grown(state_.sink, cursor_, bytes);
    cursor_ = room.cursor;
    end_ = room.end;
  }

  // The compiler knows what is left of a promise, and asks for nothing.
  template <std::size_t N>
  void put(const void* data) {
    if (N > promised_bytes_) return save_binary(data, N);
    promised_bytes_ -= N;
    std::memcpy(cursor_, data, N);
    cursor_ += N;
  }

  template <class T>
  void write(const T& value);
  template <class T>
  void write_coded(const T& value);
  template <class T>
  void write_object(const T& value);
  template <class T>
  [[gnu::noinline]] static Room write_codec(WriterState& state, Room room, std::size_t depth, const T& value);

  PORTOLAN_API static Room grown(Sink& sink, std::byte* cursor, std::size_t bytes);
  PORTOLAN_API static std::size_t split(std::uint64_t count, LongCount& bytes) noexcept;

  WriterState& state_;
  std::byte* cursor_;
  std::byte* end_;
  std::size_t depth_;
  std::size_t promised_bytes_ = 0;  // behind cursor_, for sure
};

template <class T>
PORTOLAN_FLATTEN void ValueWriter::write(const T& value) {
  static_assert(
      !std::is_pointer_v<T> && !std::is_member_pointer_v<T> && !std::is_same_v<T, std::nullptr_t>,
      "a raw pointer inside a value: write what it points to, or use a std::unique_ptr or std::shared_ptr");
  if constexpr (Coded<T>) {
    go_on(write_codec<T>, value);
  } else if constexpr (Number<T>) {
    if constexpr (std::is_same_v<T, long double>) {
      const Binary128 wide = to_binary128(value);
      put<sizeof wide>(&wide);
    } else {
      put<sizeof value>(&value);
    }
  } else if constexpr (Formed<T>) {
    ValueForm<T>::write(*this, value);
  } else if constexpr (Plain<T>) {
    static_assert(std::is_trivially_copyable_v<T>, "is_plain<T> is only for trivially copyable types");
    put<sizeof value>(&value);
  } else if constexpr (sizeof(T) <= kSmallObjectBytes) {
    write_object(value);
  } else {
    go_on(write_apart<T>, value);
  }
}

template <class T>
ValueWriter::Room ValueWriter::write_codec(WriterState& state, Room room, std::size_t, const T& value) {
  Sink& sink = state.sink;
  sink.cursor_ = room.cursor;
  std::uint64_t bytes = 0;
  sink.write(&bytes, sizeof bytes);
  const std::size_t at = sink.written();
  portolan::write_coded(value, sink, state.ports);
  bytes = sink.written() - at;
  sink.overwrite(at - sizeof bytes, &bytes, sizeof bytes);
  return {sink.cursor_, sink.end_};
}

template <class T>
PORTOLAN_FLATTEN void ValueWriter::write_object(const T& value) {
  static_assert(
      boost::serialization::implementation_level<T>::value >= boost::serialization::object_serializable,
      "this type has neither a `serialize` nor a form of its own: give it one, or a portolan::codec");
  constexpr int kVersion = boost::serialization::version<T>::value;
  if (++depth_ > kDepthLimit) [[unlikely]]
    refuse_value("value: objects nested deeper than the limit");
  promise(kPromisedBytes<T>);
  if constexpr (is_versioned<T>) write_count(kVersion);
  serialize_object(*this, const_cast<T&>(value), static_cast<unsigned>(kVersion));
  --depth_;
}

template <class T>
void ValueWriter::write_elements(const T* elements, std::size_t count) {
  if constexpr (is_bulk<T>) {
    save_binary(elements, count * sizeof(T));
  } else {
    write_each(std::span(elements, count), [this](const T& element) { write(element); });
  }
}

}  // namespace v1
}  // namespace portolan
