// SPDX-License-Identifier: Apache-2.0

// Values with ports inside, through real channels: a dispatcher sends couriers with their ports, by name and
// in lists, and whatever goes wrong half-way leaves every port where it was.
#include <doctest/doctest.h>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <portolan/portolan.hpp>

#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

struct Courier {
  std::string name;
  MessagePort port;
  bool stumbles_in_writing = false;
  bool stumbles_in_reading = false;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& name& port& stumbles_in_reading;
    if (Archive::is_saving::value ? stumbles_in_writing : stumbles_in_reading && !forgiving)
      throw std::domain_error(name + " stumbles");
  }
  static inline bool forgiving = false;
};

using Tour = std::map<std::string, std::vector<Courier>>;

// Its codec writes half of it and gives up.
struct Parcel {
  std::string label;
};

// The other ends of the ports that travel.
struct Homes {
  std::vector<MessagePort> ends;

  MessagePort leave() {
    MessageChannel channel;
    ends.push_back(std::move(channel.port1));
    return std::move(channel.port2);
  }
  // Whether `port` is the one that left home as number `index`, and works.
  bool hears(std::size_t index, MessagePort& port) {
    port.post_message("home " + std::to_string(index));
    Received received = ends.at(index).receive_for(std::chrono::seconds(60));
    return received && received->text() == "home " + std::to_string(index);
  }
};

}  // namespace

template <>
struct portolan::codec<Parcel> {
  static void write(const Parcel& parcel, Sink& sink) {
    sink.write(parcel.label.data(), parcel.label.size());
    if (parcel.label == "broken") throw std::domain_error("a broken parcel");
  }
  static Parcel read(Source& source) {
    const std::size_t bytes = source.left();
    return {std::string(reinterpret_cast<const char*>(source.take(bytes)), bytes)};
  }
};

TEST_CASE("ports in vectors and maps inside a value arrive at their places, and leave the sender") {
  const PortCensus census;
  MessageChannel channel;
  Homes homes;
  std::vector<MessagePort> ports;
  for (int i = 0; i < 3; ++i) ports.push_back(homes.leave());
  channel.port1.post_message(std::move(ports));
  for (const MessagePort& port : ports) CHECK(!port.is_open());
  auto arrived = channel.port2.receive()->data<std::vector<MessagePort>>();
  REQUIRE(arrived.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(homes.hears(i, arrived[i]));

  Tour tour;
  tour["north"].push_back({"Ada", std::move(arrived[2])});
  tour["north"].push_back({"Ben", std::move(arrived[0])});
  tour["south"].push_back({"Cy", std::move(arrived[1])});
  channel.port1.post_message(std::move(tour));
  Received received = channel.port2.receive();
  auto back = received->data<Tour>();
  CHECK(homes.hears(2, back["north"][0].port));
  CHECK(homes.hears(0, back["north"][1].port));
  CHECK(homes.hears(1, back["south"][0].port));
  for (const MessagePort& slot : received->ports()) CHECK(!slot.is_open());
}

TEST_CASE("a value of maps and vectors of ports that throws half-way keeps every port, listed ones, too") {
  const PortCensus census;
  MessageChannel channel;
  Homes homes;
  Tour tour;
  tour["north"].push_back({"Ada", homes.leave()});
  tour["north"].push_back({"Ben", homes.leave(), true});
  tour["south"].push_back({"Cy", homes.leave()});
  MessagePort listed = homes.leave();
  CHECK_THROWS_WITH_AS(channel.port1.post_message(std::move(tour), {.transfer = {listed}}), "Ben stumbles",
                       std::domain_error);
  CHECK(homes.hears(0, tour["north"][0].port));
  CHECK(homes.hears(1, tour["north"][1].port));
  CHECK(homes.hears(2, tour["south"][0].port));
  CHECK(homes.hears(3, listed));
  CHECK(channel.port2.try_receive().status() == ReceiveStatus::empty);

  tour["north"][1].stumbles_in_writing = false;
  channel.port1.post_message(std::move(tour), {.transfer = {listed}});
  Received received = channel.port2.receive();
  CHECK(received->ports().size() == 4);
  CHECK(homes.hears(3, received->ports()[0]));
  auto back = received->data<Tour>();
  CHECK(homes.hears(2, back["south"][0].port));
}

TEST_CASE("a codec that throws behind a port leaves the port") {
  const PortCensus census;
  MessageChannel channel;
  Homes homes;
  std::vector<std::pair<MessagePort, Parcel>> cargo;
  cargo.emplace_back(homes.leave(), Parcel{"whole"});
  cargo.emplace_back(homes.leave(), Parcel{"broken"});
  CHECK_THROWS_WITH_AS(channel.port1.post_message(std::move(cargo)), "a broken parcel", std::domain_error);
  CHECK(homes.hears(0, cargo[0].first));
  CHECK(homes.hears(1, cargo[1].first));
  cargo[1].second.label = "mended";
  channel.port1.post_message(std::move(cargo));
  auto back = channel.port2.receive()->data<std::vector<std::pair<MessagePort, Parcel>>>();
  CHECK(homes.hears(1, back.at(1).first));
  CHECK(back.at(1).second.label == "mended");
}

TEST_CASE(
    "ports of a value that is no rvalue stay unless each is listed, and one that is listed is one port") {
  const PortCensus census;
  MessageChannel channel;
  Homes homes;
  Tour tour;
  tour["north"].push_back({"Ada", homes.leave()});
  tour["south"].push_back({"Cy", homes.leave()});
  MessagePort& ada = tour["north"][0].port;
  MessagePort& cy = tour["south"][0].port;
  CHECK_THROWS_AS(channel.port1.post_message(tour), DataCloneError);
  CHECK_THROWS_AS(channel.port1.post_message(tour, {.transfer = {ada}}), DataCloneError);
  CHECK_THROWS_AS(channel.port1.post_message(std::as_const(tour)), DataCloneError);
  CHECK(homes.hears(0, ada));
  CHECK(homes.hears(1, cy));
  channel.port1.post_message(tour, {.transfer = {cy, ada}});
  CHECK(!ada.is_open());
  Received received = channel.port2.receive();
  REQUIRE(received->ports().size() == 2);
  auto back = received->data<Tour>();
  CHECK(homes.hears(0, back["north"][0].port));
  CHECK(homes.hears(1, back["south"][0].port));
}

TEST_CASE("a value that finds no room keeps its ports") {
  const PortCensus census;
  MessageChannel channel({.limit_bytes = 64 << 10});
  Homes homes;
  while (channel.port1.try_post_message(std::string(1000, 'x')) == PostResult::posted) {
  }
  std::vector<Courier> couriers;
  couriers.push_back({std::string(2000, 'A'), homes.leave()});
  CHECK(channel.port1.try_post_message(std::move(couriers)) == PostResult::full);
  CHECK_THROWS_AS(channel.port1.post_message(std::move(couriers)), QueueFullError);
  CHECK(channel.port1.post_message_for(std::chrono::milliseconds(1), std::move(couriers)) ==
        PostResult::timed_out);
  CHECK(homes.hears(0, couriers[0].port));
}

namespace {

// As some classes do: what is written is put together in a temporary, and what is read in another.
struct Wrapped {
  std::vector<MessagePort> ports;

  void serialize(ValueWriter& archive, unsigned) {
    std::vector<Courier> temporary;
    for (MessagePort& port : ports) temporary.push_back({"", std::move(port)});
    archive << temporary;
    for (std::size_t i = 0; i < ports.size(); ++i) ports[i] = std::move(temporary[i].port);
  }
  void serialize(ValueReader& archive, unsigned) {
    std::vector<Courier> temporary;
    archive >> temporary;
    for (Courier& courier : temporary) {
      ports.push_back(std::move(courier.port));
      archive.reset_object_address(&ports.back(), &courier.port);
    }
    if (ports.size() == 3) throw std::domain_error("one too many");
  }
};

}  // namespace

TEST_CASE("a serialize may write ports out of a temporary and read them into another") {
  const PortCensus census;
  MessageChannel channel;
  Homes homes;
  Wrapped wrapped;
  for (int i = 0; i < 2; ++i) wrapped.ports.push_back(homes.leave());
  channel.port1.post_message(std::move(wrapped));
  for (const MessagePort& port : wrapped.ports) CHECK(!port.is_open());
  auto read = channel.port2.receive()->data<Wrapped>();
  REQUIRE(read.ports.size() == 2);
  CHECK(homes.hears(0, read.ports[0]));
  CHECK(homes.hears(1, read.ports[1]));
}

TEST_CASE("a read that throws with ports in its hands gives them back, and the message can be read again") {
  const PortCensus census;
  MessageChannel channel;
  Homes homes;
  Wrapped wrapped;
  for (int i = 0; i < 3; ++i) wrapped.ports.push_back(homes.leave());
  channel.port1.post_message(std::move(wrapped));
  Received received = channel.port2.receive();
  for (int attempt = 0; attempt < 2; ++attempt)
    CHECK_THROWS_WITH_AS(static_cast<void>(received->data<Wrapped>()), "value: one too many", DataCloneError);
  REQUIRE(received->ports().size() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(homes.hears(i, received->ports()[i]));

  Tour tour;
  tour["north"].push_back({"Ada", homes.leave()});
  tour["north"].push_back({"Ben", homes.leave(), false, true});
  channel.port1.post_message(std::move(tour));
  received = channel.port2.receive();
  CHECK_THROWS_WITH_AS(static_cast<void>(received->data<Tour>()), "value: Ben stumbles", DataCloneError);
  Courier::forgiving = true;
  auto back = received->data<Tour>();
  Courier::forgiving = false;
  CHECK(homes.hears(3, back["north"][0].port));
  CHECK(homes.hears(4, back["north"][1].port));
}

TEST_CASE("who reads the message that a receive has not found is told to look first") {
  MessageChannel channel;
  channel.port1.close();
  Received received = channel.port2.receive();
  CHECK(received.status() == ReceiveStatus::closed);
  std::string what;
  try {
    static_cast<void>(received->data<int>());
  } catch (const DataCloneError& error) {
    what = error.what();
  }
  CHECK(what.find("look at Received::status() first") != std::string::npos);
}
