// SPDX-License-Identifier: Apache-2.0

#include "cbor/date_text.hpp"

namespace portolan::cbor {

namespace {

class DateScanner {
 public:
  explicit DateScanner(std::string_view text) : left_(text) {}

  // Exactly so many digits; -1, which no field may be, if they are not there.
  int digits(std::size_t count) {
    int number = 0;
    if (left_.size() < count) return fail();
    for (const char digit : left_.substr(0, count)) {
      if (digit < '0' || digit > '9') return fail();
      number = number * 10 + (digit - '0');
    }
    left_.remove_prefix(count);
    return number;
  }

  void expect(std::string_view one_of) {
    if (!accept(one_of)) fail();
  }

  bool accept(std::string_view one_of) {
    if (left_.empty() || one_of.find(left_.front()) == std::string_view::npos) return false;
    left_.remove_prefix(1);
    return true;
  }

  // The digits after a decimal point, one at least.
  std::chrono::milliseconds fraction() {
    int milliseconds = digits(1) * 100;
    for (int weight = 10; next_is_digit(); weight /= 10) milliseconds += digits(1) * weight;
    return std::chrono::milliseconds(milliseconds);
  }

  bool is_done() const { return !failed_ && left_.empty(); }

 private:
  bool next_is_digit() const { return !left_.empty() && left_.front() >= '0' && left_.front() <= '9'; }
  int fail() {
    failed_ = true;
    return -1;
  }

  std::string_view left_;
  bool failed_ = false;
};

}  // namespace

std::optional<std::chrono::sys_time<std::chrono::milliseconds>> parse_date(std::string_view text) {
  using namespace std::chrono;
  DateScanner scanner(text);
  const int years = scanner.digits(4);
  scanner.expect("-");
  const int months = scanner.digits(2);
  scanner.expect("-");
  const int days = scanner.digits(2);
  scanner.expect("Tt ");
  const int hours_of_day = scanner.digits(2);
  scanner.expect(":");
  const int minutes_of_hour = scanner.digits(2);
  scanner.expect(":");
  const int seconds_of_minute = scanner.digits(2);
  const milliseconds rest = scanner.accept(".") ? scanner.fraction() : milliseconds();
  minutes east{};
  if (!scanner.accept("Zz")) {
    const bool is_west = scanner.accept("-");
    if (!is_west) scanner.expect("+");
    const int zone_hours = scanner.digits(2);
    scanner.expect(":");
    const int zone_minutes = scanner.digits(2);
    if (zone_hours > 23 || zone_minutes > 59) return std::nullopt;
    east = (hours(zone_hours) + minutes(zone_minutes)) * (is_west ? -1 : 1);
  }
  if (!scanner.is_done() || hours_of_day > 23 || minutes_of_hour > 59 || seconds_of_minute > 60)
    return std::nullopt;
  const year_month_day date{year(years), month(static_cast<unsigned>(months)),
                            day(static_cast<unsigned>(days))};
  if (!date.ok()) return std::nullopt;
  return sys_days(date) + hours(hours_of_day) + minutes(minutes_of_hour) + seconds(seconds_of_minute) + rest -
         east;
}

}  // namespace portolan::cbor
