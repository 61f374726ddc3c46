// SPDX-License-Identifier: Apache-2.0

// Who watches names hears of each that appears, goes and comes again.
#include <algorithm>
#include <chrono>
#include <doctest/doctest.h>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

#include <portolan/port.hpp>

#include "names/broker_process.hpp"
#include "port/hand_over.hpp"
#include "support/condition.hpp"

using namespace portolan;
using namespace portolan::testing;
using namespace std::chrono_literals;

TEST_CASE("a watch tells of names that are there, go and come again, and of nothing else") {
  BrokerProcess broker;
  const PortCensus census;
  std::optional<Listener> one(std::in_place, "org.example.one"), other(std::in_place, "com.example.other");
  NameWatch watch("org.*");
  std::optional<NameEvent> news = watch.next_for(kPatience);
  REQUIRE(news);
  CHECK(news->news() == NameNews::appeared);
  CHECK(news->type() == "appeared");
  CHECK(news->name() == "org.example.one");
  CHECK(news->generation() == one->generation());
  CHECK(news->owner().pid == static_cast<std::uint32_t>(::getpid()));
  other.reset();
  one.reset();
  news = watch.next_for(kPatience);
  REQUIRE(news);
  CHECK(news->news() == NameNews::gone);
  one.emplace("org.example.one");
  news = watch.next_for(kPatience);
  REQUIRE(news);
  CHECK(news->news() == NameNews::replaced);
  CHECK(news->generation() == one->generation());
  CHECK_FALSE(watch.next_for(0s));
}

TEST_CASE("a watch in a loop survives its broker: who registers again is replaced, who does not is gone") {
  const PortCensus census;
  BrokerProcess broker;
  Listener stays("org.example.stays");
  std::optional<Listener> goes(std::in_place, "org.example.goes");
  stays.on_connect([] {});
  stays.unref();
  NameWatch watch("org.example.*");
  std::vector<std::string> heard;
  const auto has_heard = [&](const std::string& news) {
    return std::find(heard.begin(), heard.end(), news) != heard.end();
  };
  const auto note = [&](NameEvent& event) {
    heard.push_back(std::string(event.type()) + " " + event.name());
    if (heard.size() == 2) {
      broker.kill();
      goes.reset();
      broker.start();
    }
    if (has_heard("replaced org.example.stays") && has_heard("gone org.example.goes")) watch.close();
  };
  watch.on_appeared(note);
  watch.on_gone(note);
  watch.on_replaced(note);
  EventLoop::current().run();
  // Where the machine stood still for seconds, one that stays may be missed for a while.
  std::erase(heard, "gone org.example.stays");
  std::sort(heard.begin(), heard.end());
  CHECK(heard == std::vector<std::string>{"appeared org.example.goes", "appeared org.example.stays",
                                          "gone org.example.goes", "replaced org.example.stays"});
  CHECK_FALSE(watch.is_open());
  CHECK_THROWS_AS(static_cast<void>(watch.next_for(0s)), InvalidStateError);
}

TEST_CASE("a list tells who has which name, since when, and who is waited for") {
  BrokerProcess broker;
  const PortCensus census;
  CHECK(list_names().empty());
  std::optional<Listener> one(std::in_place, "org.example.one"), other(std::in_place, "com.example.other");
  ConnectAttempt waits("org.example.none", {.deadline = kPatience});
  CHECK_FALSE(waits.poll());
  std::vector<ListedName> names;
  REQUIRE(wait_until([&] {
    names = list_names("org.*");
    return names.size() == 2;
  }));
  CHECK(names[0].name == "org.example.none");
  CHECK(names[0].generation == 0);
  CHECK(names[0].pending == 1);
  CHECK(names[1].name == "org.example.one");
  CHECK(names[1].generation == one->generation());
  CHECK(names[1].owner.pid == static_cast<std::uint32_t>(::getpid()));
  CHECK(names[1].owner.uid == ::geteuid());
  CHECK(names[1].age > 0ns);
  CHECK(names[1].pending == 0);
  CHECK(list_names().size() == 3);
  one.reset();
  CHECK(wait_until([&] { return list_names("*.one").empty(); }));
}

TEST_CASE("a pattern that is none is refused with what one looks like") {
  std::string text;
  try {
    NameWatch watch("not a pattern");
  } catch (const PortError& error) {
    text = error.what();
  }
  CHECK(text == "NameWatch(\"not a pattern\"): this is no pattern of names; use letters, digits, ._- and *");
}
