// The Engine between model clients and model servers, moved by the fuzzer's choices. Checks after each step
// that the Engine keeps what it promises; see engine_fuzz.cpp. One per input.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/engine/engine.hpp"
#include "tests/fuzz/engine_model_client.hpp"
#include "tests/fuzz/engine_model_server.hpp"

namespace fairlead::fuzz {

/// honest: servers answer what they were asked, and replies are checked. wild: clients and servers send any
/// bytes; only crashes, endless turns and leaks are looked for.
enum class Manners : std::uint8_t { honest, wild };

/// What the shell would do, with sockets that take as many bytes as the fuzzer lets them.
class FuzzIo final : public engine::Io {
 public:
  struct Connection {
    std::string written;              // what the Engine wrote since the world looked last
    std::size_t capacity = SIZE_MAX;  // bytes the socket still takes
    std::uint64_t route = 0;          // links: the route of the world when it was opened
    engine::Reading reading = engine::Reading::on;
    bool open = true;
    bool connected = false;
    bool waits_writable = false;
    bool breaks = false;  // the next write fails
  };
  using Name = std::pair<std::uint32_t, std::uint32_t>;

  std::uint64_t next_client_id() override { return ++last_client_id; }
  engine::WriteResult write(engine::ConnId id, std::span<const engine::ConstBytes> buffers) override;
  void wait_writable(engine::ConnId id) override { at(id).waits_writable = true; }
  void set_reading(engine::ConnId id, engine::Reading reading) override { at(id).reading = reading; }
  void connect(engine::ConnId id, const resp::Address& address) override;
  void close(engine::ConnId id) override;
  void signal(const health::Signal&) override {}
  std::uint32_t broadcast(const engine::ClientQuery&) override { return 0; }
  engine::ConnectionNames names(engine::ConnId) override { return {}; }

  Connection& at(engine::ConnId id);
  static Name name(engine::ConnId id) { return {id.index, id.generation}; }

  std::map<Name, Connection> clients;
  std::map<Name, Connection> links;
  std::uint64_t last_client_id = 0;
  std::uint64_t route = 0;  // the route of now; links of another one must not be written to
};

class FuzzWorld {
 public:
  explicit FuzzWorld(Choices& choices);

  void step();
  /// Everybody becomes reachable and answers: whoever is still connected must get all that is owed. Then all
  /// leave, and nothing may be left.
  void finish();

 private:
  struct Client {
    engine::ConnId id;
    std::unique_ptr<ModelClient> model;
    bool ended = false;  // said end of file
  };
  struct Link {
    engine::ConnId id;
    ModelServer server;
  };

  engine::EngineOptions choose_options();
  void accept();
  void client_speaks();
  void client_leaves();
  void connect_link();
  void break_link();
  void server_works();
  void server_answers(std::size_t limit);
  void wild_bytes();
  void limit_capacity();
  void becomes_writable();
  void publish();
  void publish(const std::string& host, std::uint64_t term, health::GroupState state);
  void pass(std::chrono::milliseconds time);
  void turn();
  void look();
  void look_at_clients();
  void look_at_links();
  bool give_back(const std::string& id);
  [[nodiscard]] bool gets_no_value(const Link& link) const;
  std::size_t feed(engine::ConnId id, std::string_view bytes);
  bool settle_once();
  void settle();
  bool somebody_satisfied_leaves();
  [[nodiscard]] std::string state_of_links() const;
  void check_end();
  [[nodiscard]] Client* any_client();
  [[nodiscard]] Link* any_link();

  Choices& choices_;
  Manners manners_;
  Ledger ledger_;
  FuzzIo io_;
  health::TimePoint now_{std::chrono::hours(1)};
  std::uint64_t version_ = 0;
  std::uint64_t term_ = 1;
  std::string host_;
  std::vector<Client> clients_;
  std::vector<std::unique_ptr<Link>> links_;
  std::size_t clients_made_ = 0;
  std::size_t links_made_ = 0;
  std::uint64_t closes_explained_ = 0;
  bool drained_ = false;
  bool nobody_pushes_ = false;  // when the world comes to rest for the first time
  std::uint64_t leases_max_ = 0;
  engine::Engine engine_;
};

}  // namespace fairlead::fuzz
