// SPDX-License-Identifier: Apache-2.0

// One CBOR item's head at a time, by libcbor's stateless decoder and encoders: it takes no memory, looks at
// nothing past the bytes that it is given, and does not recurse.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <portolan/encoding.hpp>

namespace portolan::cbor {

enum class ItemKind : std::uint8_t {
  unsigned_integer,
  negative_integer,
  bytes,
  bytes_begin,
  text,
  text_begin,
  array,
  array_begin,
  map,
  map_begin,
  tag,
  number,
  boolean,
  null,
  end,  // of what a _begin has begun: of these the length is not known
};

struct Item {
  ItemKind kind = ItemKind::null;
  std::uint64_t count = 0;  // an integer's magnitude, a tag's number, how many elements or entries
  double number = 0;
  bool boolean = false;
  std::span<const std::byte> content;  // of bytes and text
};

// Takes the next item off the front of `left`. Throws DataCloneError if there is none, or none that CBOR has.
Item take_item(std::span<const std::byte>& left);

// The head of an item: `count` is what it is in Item.
void write_head(Sink& sink, ItemKind kind, std::uint64_t count);
void write_number(Sink& sink, double number);
void write_boolean(Sink& sink, bool boolean);
void write_null(Sink& sink);

}  // namespace portolan::cbor
