// SPDX-License-Identifier: Apache-2.0

// How the standard library's collections are written: their size, then their elements; std::array, C arrays
// and std::bitset without the size, which their type says. Elements of a collection with a size take at least
// one byte each, so that a reader can hold the size against the bytes that are left before it takes memory.
#pragma once

#include <algorithm>
#include <array>
#include <bitset>
#include <cstdint>
#include <cstring>
#include <deque>
#include <iterator>
#include <list>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <portolan/value_reader.hpp>
#include <portolan/value_writer.hpp>

namespace portolan {
inline namespace v1 {

/// Strings, and vectors of what is copied as memory: one piece.
template <class Block>
struct BlockForm {
  using Element = typename Block::value_type;

  static void write(ValueWriter& writer, const Block& block) {
    writer.write_count(block.size());
    writer.write_elements(block.data(), block.size());
  }
  static void read(ValueReader& reader, Block& block) {
    const std::size_t count = reader.read_size();
    if (count > reader.left() / sizeof(Element)) [[unlikely]]
      refuse_value("value: a block longer than the message");
    // Without filling it first, where the elements stand as an array of Element would.
    const std::byte* const bytes = reader.take(count * sizeof(Element));
    if constexpr (std::is_trivial_v<Element> && std::is_copy_constructible_v<Element> &&
                  std::is_copy_assignable_v<Element>) {
      if (alignof(Element) == 1 || reinterpret_cast<std::uintptr_t>(bytes) % alignof(Element) == 0) {
        const auto* const elements = reinterpret_cast<const Element*>(bytes);
        block.assign(elements, elements + count);
        return;
      }
    }
    block.resize(count);
    if (count != 0) std::memcpy(block.data(), bytes, count * sizeof(Element));
  }
};

/// Throws DataCloneError if elements took no bytes, as std::tuple<> does: no reader would believe their
/// number.
inline void require_bytes(const ValueWriter& writer, std::size_t position_before, std::size_t count) {
  if (writer.written() - position_before < count)
    refuse_value("value: a collection of elements that take no bytes");
}

template <class Sequence>
struct SequenceForm {
  using Element = typename Sequence::value_type;

  static void write(ValueWriter& writer, const Sequence& sequence) {
    writer.write_count(sequence.size());
    const std::size_t before = writer.written();
    writer.write_each(sequence, [&writer](const Element& element) { writer << element; });
    require_bytes(writer, before, sequence.size());
  }
  static void read(ValueReader& reader, Sequence& sequence) {
    static_assert(std::is_default_constructible_v<Element>, "elements are first made, then read");
    const std::size_t count = reader.read_size();
    reader.state().charge(count * sizeof(Element));
    // In steps: the next one only when as many elements are there already, so that a count takes no memory by
    // itself, in none of the collections that are nested in each other.
    sequence.clear();
    for (std::size_t made = 0; made < count;) {
      const std::size_t step = std::min(count - made, std::max(made, 1 + kFirstStepBytes / sizeof(Element)));
      sequence.resize(made + step);
      for (auto element = std::prev(sequence.end(), static_cast<std::ptrdiff_t>(step));
           element != sequence.end(); ++element)
        reader >> *element;
      made += step;
    }
  }
};

template <class Set>
struct SetForm {
  using Element = typename Set::value_type;

  static void write(ValueWriter& writer, const Set& set) {
    writer.write_count(set.size());
    const std::size_t before = writer.written();
    writer.write_each(set, [&writer](const Element& element) { writer << element; });
    require_bytes(writer, before, set.size());
  }
  static void read(ValueReader& reader, Set& set) {
    static_assert(std::is_default_constructible_v<Element>, "elements are first made, then read");
    const std::size_t count = reader.read_size();
    reader.state().charge(count * (sizeof(Element) + kNodeBytes));
    set.clear();
    for (std::size_t i = 0; i < count; ++i) {
      Element element{};
      reader >> element;
      set.insert(set.end(), std::move(element));
    }
    if (set.size() != count) refuse_value("value: a set with the same element twice");
  }
};

template <class Map>
struct MapForm {
  using Key = typename Map::key_type;
  using Mapped = typename Map::mapped_type;

  static void write(ValueWriter& writer, const Map& map) {
    writer.write_count(map.size());
    const std::size_t before = writer.written();
    writer.write_each(map, [&writer](const auto& entry) { writer << entry.first << entry.second; });
    require_bytes(writer, before, map.size());
  }
  static void read(ValueReader& reader, Map& map) {
    static_assert(std::is_default_constructible_v<Key> && std::is_default_constructible_v<Mapped>,
                  "elements are first made, then read");
    const std::size_t count = reader.read_size();
    reader.state().charge(count * (sizeof(typename Map::value_type) + kNodeBytes));
    map.clear();
    for (std::size_t i = 0; i < count; ++i) {
      Key key{};
      reader >> key;
      const auto entry = map.emplace_hint(map.end(), std::piecewise_construct,
                                          std::forward_as_tuple(std::move(key)), std::tuple<>());
      reader >> entry->second;
    }
    if (map.size() != count) refuse_value("value: a map with the same key twice");
  }
};

/// An array of bits, eight to a byte, the first in the lowest bit; unused bits are 0.
template <class Bits>
struct BitsForm {
  static void write(ValueWriter& writer, const Bits& bits) {
    for (std::size_t first = 0; first < bits.size(); first += 8) {
      unsigned byte = 0;
      for (std::size_t i = first; i < bits.size() && i < first + 8; ++i) {
        byte |= static_cast<unsigned>(bits[i]) << (i - first);
      }
      writer << static_cast<std::uint8_t>(byte);
    }
  }
  static void read(ValueReader& reader, Bits& bits) {
    for (std::size_t first = 0; first < bits.size(); first += 8) {
      auto byte = std::to_integer<unsigned>(*reader.take(1));
      for (std::size_t i = first; i < bits.size() && i < first + 8; ++i, byte >>= 1)
        bits[i] = (byte & 1) != 0;
      if (first + 8 > bits.size() && byte != 0) refuse_value("value: bits past the end of an array of bits");
    }
  }
};

template <class Array, std::size_t N>
struct ArrayForm {
  static void write(ValueWriter& writer, const Array& array) { writer.write_elements(std::data(array), N); }
  static void read(ValueReader& reader, Array& array) { reader.read_elements(std::data(array), N); }
};

template <class C, class Traits, class A>
struct ValueForm<std::basic_string<C, Traits, A>> : BlockForm<std::basic_string<C, Traits, A>> {};
template <class T, class A>
struct ValueForm<std::vector<T, A>>
    : std::conditional_t<is_bulk<T>, BlockForm<std::vector<T, A>>, SequenceForm<std::vector<T, A>>> {};
template <class T, class A>
struct ValueForm<std::deque<T, A>> : SequenceForm<std::deque<T, A>> {};
template <class T, class A>
struct ValueForm<std::list<T, A>> : SequenceForm<std::list<T, A>> {};

template <class T, class C, class A>
struct ValueForm<std::set<T, C, A>> : SetForm<std::set<T, C, A>> {};
template <class T, class C, class A>
struct ValueForm<std::multiset<T, C, A>> : SetForm<std::multiset<T, C, A>> {};
template <class T, class H, class E, class A>
struct ValueForm<std::unordered_set<T, H, E, A>> : SetForm<std::unordered_set<T, H, E, A>> {};
template <class T, class H, class E, class A>
struct ValueForm<std::unordered_multiset<T, H, E, A>> : SetForm<std::unordered_multiset<T, H, E, A>> {};

template <class K, class V, class C, class A>
struct ValueForm<std::map<K, V, C, A>> : MapForm<std::map<K, V, C, A>> {};
template <class K, class V, class C, class A>
struct ValueForm<std::multimap<K, V, C, A>> : MapForm<std::multimap<K, V, C, A>> {};
template <class K, class V, class H, class E, class A>
struct ValueForm<std::unordered_map<K, V, H, E, A>> : MapForm<std::unordered_map<K, V, H, E, A>> {};
template <class K, class V, class H, class E, class A>
struct ValueForm<std::unordered_multimap<K, V, H, E, A>> : MapForm<std::unordered_multimap<K, V, H, E, A>> {};

template <class T, std::size_t N>
struct ValueForm<std::array<T, N>> : ArrayForm<std::array<T, N>, N> {};
template <class T, std::size_t N>
struct ValueForm<T[N]> : ArrayForm<T[N], N> {};
template <std::size_t N>
struct ValueForm<std::bitset<N>> : BitsForm<std::bitset<N>> {};

/// Its size, then the bits.
template <class A>
struct ValueForm<std::vector<bool, A>> {
  using Bits = std::vector<bool, A>;

  static void write(ValueWriter& writer, const Bits& bits) {
    writer.write_count(bits.size());
    BitsForm<Bits>::write(writer, bits);
  }
  static void read(ValueReader& reader, Bits& bits) {
    const std::uint64_t count = reader.read_count();
    if (count / 8 > reader.left()) refuse_value("value: more bits than are left");
    bits.resize(static_cast<std::size_t>(count));
    BitsForm<Bits>::read(reader, bits);
  }
};

}  // namespace v1
}  // namespace portolan
