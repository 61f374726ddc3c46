// SPDX-License-Identifier: Apache-2.0

// Text for people: colour where it is wanted, and columns that stand under each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace command {

enum class Colour : std::uint8_t { automatic, always, never };
enum class Tone : std::uint8_t { plain, strong, faint, good, warning, bad };

/// Whether stdout gets colour: automatic is a terminal, unless NO_COLOR is set or TERM is dumb.
void use_colour(Colour choice);
[[nodiscard]] std::string toned(std::string_view text, Tone tone);

/// How many columns of a terminal the text takes: its letters. Colour takes none.
[[nodiscard]] std::size_t width_of(std::string_view text);

/// The text's first columns, its colour with it.
[[nodiscard]] std::string cut_to(std::string_view text, std::size_t columns);

class Table {
 public:
  enum class Align : std::uint8_t { left, right };
  struct Column {
    std::string head;
    Align align = Align::left;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// A cell for each column.
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  [[nodiscard]] std::string str() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// "312 B", "4.2 KiB", "64 MiB"; "12", "3.4 k", "1.2 M".
[[nodiscard]] std::string bytes_text(std::uint64_t bytes);
[[nodiscard]] std::string count_text(double count);

/// "0.4 s", "12 s", "3 min 5 s", "2 h 4 min", "6 d 3 h".
[[nodiscard]] std::string duration_text(double seconds);

/// Writes all of it to stdout at once; throws std::system_error if it cannot be written.
void print(std::string_view text);

}  // namespace command
