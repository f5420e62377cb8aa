// Both nodes' keepalived.conf from one description. That keepalived itself accepts them is tested with the
// pair.
#include "vrrp/keepalived_conf.hpp"

#include <catch2/catch.hpp>
#include <sstream>

namespace fairlead::vrrp {
namespace {

PairDescription description() {
  PairDescription pair;
  pair.instance = "fairlead";
  pair.address = "10.0.0.100/24";
  pair.interface = "eth0";
  pair.nodes = {"10.0.0.11", "10.0.0.12"};
  pair.ready_file = "/run/fairlead/ready";
  pair.notify_fifo = "/run/fairlead/notify.fifo";
  pair.user = "fairlead";
  pair.check_command = "/usr/bin/fairlead check --config /etc/fairlead/fairlead.toml";
  return pair;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool has(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST_CASE("a whole description has no faults, and nothing is left to fill in") {
  CHECK(find_faults(description()).empty());
  for (const Node node : {Node::a, Node::b}) {
    const std::string text = render(description(), node);
    CHECK(text.find('@') == std::string::npos);
    CHECK(has(text, "  advert_int 0.2"));
    CHECK(has(text, "  nopreempt"));
    CHECK(has(text, "  state BACKUP"));
    CHECK(has(text, "    10.0.0.100/24 dev eth0"));
    CHECK(has(text, "  script \"/usr/bin/fairlead check --config /etc/fairlead/fairlead.toml\""));
  }
}

TEST_CASE("the nodes differ in what must differ and in nothing else") {
  const auto a = lines_of(render(description(), Node::a));
  const auto b = lines_of(render(description(), Node::b));
  REQUIRE(a.size() == b.size());
  std::vector<std::string> different;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i]) different.push_back(a[i] + " |" + b[i]);
  }
  REQUIRE(different.size() == 5);
  CHECK(different[1] == "  router_id fairlead_a |  router_id fairlead_b");
  CHECK(different[2] == "  priority 254 |  priority 253");
  CHECK(different[3] == "  unicast_src_ip 10.0.0.11 |  unicast_src_ip 10.0.0.12");
  CHECK(different[4] == "    10.0.0.12 |    10.0.0.11");
}

TEST_CASE("a pair of IPv6") {
  PairDescription pair = description();
  for (const char* good :
       {"fd00::100/64", "fd00::100", "1:2:3:4:5:6:7:8/128", "::100", "FD00:0:0:1::", "2001:db8::1:0"}) {
    CAPTURE(good);
    pair.address = good;
    pair.nodes = {"fd00::11", "fd00::12"};
    CHECK(find_faults(pair).empty());
    CHECK(has(render(pair, Node::b), "    " + std::string(good) + " dev eth0"));
    CHECK(has(render(pair, Node::b), "  unicast_src_ip fd00::12"));
  }
  pair.nodes[1] = "10.0.0.12";
  CHECK(find_faults(pair) ==
        std::vector<std::string>{
            "'node-b' in [vrrp] is '10.0.0.12'; write the own address of the second host, IPv6, as "
            "'address' is"});
  pair = description();
  pair.nodes[0] = "fd00::11";
  CHECK(find_faults(pair).size() == 1);
}

TEST_CASE("intervals as keepalived writes seconds") {
  PairDescription pair = description();
  const auto advert = [&pair](int ms) {
    pair.advert_interval = std::chrono::milliseconds(ms);
    return render(pair, Node::a);
  };
  CHECK(has(advert(1000), "  advert_int 1"));
  CHECK(has(advert(30), "  advert_int 0.03"));
  CHECK(has(advert(1250), "  advert_int 1.25"));
}

TEST_CASE("every missing or wrong value is named with its remedy, all at once") {
  CHECK(find_faults(PairDescription{}).size() == 9);
  const auto faults_with = [](auto change) {
    PairDescription pair = description();
    change(pair);
    return find_faults(pair);
  };
  using Faults = std::vector<std::string>;
  for (const char* wrong :
       {"10.0.0", "10.0.0.256", "10.0.0.1.2", "10.0.0.100/33", "10.0.0.100/", "host", "fd00::100/129",
        "fd00::1::2", "fd00:", ":1", "::", ":::1", "fd00::12345", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7::8", "fe80::1%eth0", "fd00::100/"}) {
    CAPTURE(wrong);
    CHECK(faults_with([&](auto& pair) { pair.address = wrong; }) ==
          Faults{"'address' in [vrrp] is '" + std::string(wrong) +
                 "'; write the address that moves, for example 10.0.0.100/24 or fd00::100/64"});
  }
  CHECK(faults_with([](auto& pair) { pair.nodes[1] = pair.nodes[0]; }) ==
        Faults{"'node-b' in [vrrp] is '10.0.0.11'; write another address than that of node-a"});
  CHECK(faults_with([](auto& pair) { pair.instance = "a b"; }).size() == 1);
  CHECK(faults_with([](auto& pair) { pair.instance = "x\" {"; }).size() == 1);
  CHECK(faults_with([](auto& pair) { pair.ready_file = "ready"; }).size() == 1);
  CHECK(faults_with([](auto& pair) { pair.check_command = "/opt/x\"y check"; }).size() == 1);
}

}  // namespace
}  // namespace fairlead::vrrp
