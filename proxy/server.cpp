#include "proxy/server.hpp"

#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <memory>
#include <thread>

#include "health/monitor.hpp"
#include "proxy/admin/console_server.hpp"
#include "proxy/admin/http_login.hpp"
#include "proxy/admin/http_server.hpp"
#include "proxy/admin/observer.hpp"
#include "proxy/admin/pages.hpp"
#include "proxy/admin/routes.hpp"
#include "proxy/commands.hpp"
#include "proxy/log.hpp"
#include "proxy/operator_desk.hpp"
#include "proxy/pair.hpp"
#include "proxy/process_limits.hpp"
#include "proxy/reload.hpp"
#include "proxy/socket_options.hpp"
#include "proxy/state_file.hpp"
#include "proxy/vitals.hpp"
#include "proxy/worker.hpp"

namespace fairlead::proxy {

namespace asio = boost::asio;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::chrono::milliseconds report_interval{250};
/// What is in flight may finish for so long before the clients of an address that is to leave are reset.
constexpr std::chrono::milliseconds leave_grace{50};
/// A worker that stands still does not keep the address here for longer.
constexpr std::chrono::milliseconds leave_max{100};
/// What takes longer to copy is asked for this often.
constexpr std::chrono::milliseconds telemetry_interval{1000};

OutageLog::Moment moment() {
  return {Clock::now(), std::chrono::system_clock::now()};
}

/// The control thread's actor: owns the workers, the monitor and the stats listener; lives on the main
/// thread.
class Server {
 public:
  Server(const Options& options, const ServerHooks& hooks);
  int run();

 private:
  [[nodiscard]] bool open_listeners();
  [[nodiscard]] bool open_stats();
  [[nodiscard]] bool open_console();
  void make_workers();
  void wait_for_signal();
  void on_signal_number(int number);
  [[nodiscard]] bool open_state();
  ActionResult reload();
  void on_topology(health::TopologyPtr topology);
  void on_event(const health::Event& event);
  void begin_drain();
  void stop();
  void ask_for_reports();
  void on_address_lost();
  void leave_address(const std::function<void()>& then);
  void on_drain_changed();
  void let_clients_go(AddressNow now, std::chrono::milliseconds grace, std::function<void()> all_done);
  void stand_aside();
  [[nodiscard]] vrrp::LocalFacts facts() const;
  [[nodiscard]] vrrp::Verdict fitness() const;
  void ask_for_telemetry();
  void on_telemetry(std::size_t worker, engine::TelemetrySnapshot snapshot);
  void tell_outages();
  [[nodiscard]] AdminSnapshot snapshot() const;
  [[nodiscard]] std::string metrics() const;
  [[nodiscard]] std::string fault() const;
  [[nodiscard]] std::string not_ready() const;
  [[nodiscard]] std::string not_to_be_chosen() const;

  Options options_;
  const ServerHooks& hooks_;
  std::unique_ptr<StateFile> state_;
  asio::io_context context_{1};
  asio::signal_set signals_{context_};
  asio::steady_timer report_timer_{context_};
  asio::steady_timer drain_timer_{context_};
  asio::steady_timer leave_timer_{context_};
  SharedCounts shared_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Vitals> vitals_;
  std::unique_ptr<Pair> pair_;  // null when this instance stands alone
  std::unique_ptr<health::Monitor> monitor_;
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<ConsoleServer> console_;
  std::vector<WorkerReport> reports_;
  std::vector<resp::Address> listening_;
  health::TopologyPtr topology_;
  Clock::time_point started_ = Clock::now();
  std::uint64_t promotions_revoked_ = 0;
  Clock::time_point telemetry_asked_at_{};
  std::vector<engine::TelemetrySnapshot> telemetry_;
  std::size_t telemetry_heard_ = 0;  // workers that have answered the question under way
  std::unique_ptr<Observer> observer_;
  std::unique_ptr<OperatorDesk> desk_;
  bool reload_ok_ = true;
  std::size_t workers_drained_ = 0;
  bool ready_told_ = false;
  bool serving_ = false;
  bool draining_ = false;
  bool aside_ = false;  // about to end, and the clients of the pair's address were let go: it may leave
  bool drained_aside_ = false;  // the same, because the operator drained this instance
  bool stopped_ = false;
};

Server::Server(const Options& options, const ServerHooks& hooks) : options_(options), hooks_(hooks) {
  shared_.clients_max = options.engine.limits.clients_max;
  const ObserverOptions limits{version(), options.engine.limits.clients_max,
                               options.engine.limits.leased_links_max};
  observer_ = std::make_unique<Observer>(limits, moment());
  desk_ = std::make_unique<OperatorDesk>(
      OperatorDesk::Tools{context_, workers_, options_, *observer_, [this] { return topology_; },
                          [this] { return reload(); }, [this] { on_drain_changed(); }});
}

int Server::run() {
  std::signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit(options_.engine.limits.clients_max);
  if (options_.vrrp.in_pair()) {
    pair_ = std::make_unique<Pair>(context_, options_.vrrp, [this] { on_address_lost(); });
    pair_->start();
  }
  make_workers();
  if (!open_state() || !open_listeners() || !open_stats() || !open_console()) return exit_failure;

  for (const int number : {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2}) signals_.add(number);
  wait_for_signal();
  health::Monitor::Memory memory;
  if (state_) {
    memory.last = state_->last();
    memory.remember = [this](const health::Remembered& route) { state_->keep(route); };
  }
  monitor_ = std::make_unique<health::Monitor>(
      context_, options_.backend, [this](health::TopologyPtr t) { on_topology(std::move(t)); },
      [this](const health::Event& event) { on_event(event); }, std::move(memory));
  for (auto& worker : workers_) worker->start();
  monitor_->start();
  desk_->open(*monitor_);
  serving_ = true;
  vitals_ = std::make_unique<Vitals>(context_, workers_, [this] {
    if (pair_) pair_->tell(fitness());
  });
  vitals_->start();
  ask_for_reports();
  ::sd_notify(0, "READY=1\nSTATUS=waiting for the first master");
  context_.run();

  for (auto& worker : workers_) worker->join();
  if (state_) state_->close();
  if (pair_) pair_->stop();
  for (const resp::Address& address : listening_) {
    if (address.is_unix) ::unlink(address.host.c_str());
  }
  log(LogLevel::info, "stopped");
  return exit_success;
}

void Server::make_workers() {
  unsigned count = options_.threads != 0 ? options_.threads : std::thread::hardware_concurrency();
  count = std::max(1U, count);
  reports_.resize(count);
  const engine::EngineOptions mine = options_of_worker(options_, count);
  for (unsigned i = 0; i < count; ++i) {
    Worker::Hooks hooks;
    hooks.signal = [this](const health::Signal& signal) {
      asio::post(context_, [this, signal] {
        if (!stopped_) monitor_->on_signal(signal);
      });
    };
    hooks.drained = [this] {
      asio::post(context_, [this] {
        if (++workers_drained_ == workers_.size()) stop();
      });
    };
    workers_.push_back(
        std::make_unique<Worker>(mine, engine::WorkerName{i + 1, count}, shared_, std::move(hooks)));
  }
  for (auto& worker : workers_) worker->set_peers(workers_);
}

bool Server::open_state() {
  if (options_.state_dir.empty()) return true;
  state_ = std::make_unique<StateFile>(options_.state_dir, options_.backend.master_name);
  const std::string error = state_->open();
  if (!error.empty()) log(LogLevel::error, error);
  return error.empty();
}

bool Server::open_listeners() {
  bool all = true;
  for (const resp::Address& address : options_.listen) {
    const auto freebind = options_.freebind ? Freebind::on : Freebind::off;
    const ListenResult result = listen_on(address, static_cast<unsigned>(workers_.size()), freebind);
    if (!result.error.empty()) {
      log(LogLevel::error, result.error, {{"listen", resp::to_string(address)}});
      all = false;
      continue;
    }
    const auto kind = address.is_unix ? ListenKind::unix_socket : ListenKind::tcp;
    for (std::size_t i = 0; i < workers_.size(); ++i) workers_[i]->add_listener(result.descriptors[i], kind);
    listening_.push_back(result.address);
    log(LogLevel::info, "listening for clients",
        {{"listen", resp::to_string(result.address)}, {"workers", std::to_string(workers_.size())}});
  }
  return all;
}

bool Server::open_stats() {
  HealthProvider provider{[this] { return fault(); }, [this] { return not_to_be_chosen(); },
                          [this] { return metrics(); }};
  PageProvider page{[this] { return snapshot(); },
                    [this](const AdminAction& action, const ActionDone& done) { desk_->act(action, done); },
                    options_.stats.admin ? MayAct::yes : MayAct::no, make_token()};
  HttpHandler handler = require_login({options_.stats.user, options_.stats.password}, probe_paths(),
                                      make_routes(std::move(provider), make_pages(std::move(page))));
  http_ = std::make_unique<HttpServer>(context_, options_.stats.listen, HttpLimits{}, std::move(handler));
  const std::vector<std::string> errors = http_->start();
  for (const std::string& error : errors) log(LogLevel::error, error);
  if (!errors.empty()) return false;
  for (const resp::Address& address : http_->addresses()) {
    log(LogLevel::info, "listening for stats", {{"listen", resp::to_string(address)}});
  }
  return true;
}

bool Server::open_console() {
  ConsoleProvider provider{
      [this] { return snapshot(); },
      [this](const AdminAction& action, const ActionDone& done) { desk_->act(action, done); },
      options_.stats.admin ? MayAct::yes : MayAct::no,
      {options_.stats.user, options_.stats.password},
      &options_};
  console_ = std::make_unique<ConsoleServer>(context_, std::move(provider));
  for (const resp::Address& address : options_.console.listen) {
    const std::string error = console_->open(address);
    if (!error.empty()) {
      log(LogLevel::error, error, {{"listen", resp::to_string(address)}});
      return false;
    }
    log(LogLevel::info, "listening for the console",
        {{"listen", resp::to_string(console_->addresses().back())}});
  }
  return true;
}

// --- What happens

void Server::wait_for_signal() {
  signals_.async_wait([this](const error_code& error, int number) {
    if (error) return;
    on_signal_number(number);
    if (!stopped_) wait_for_signal();
  });
}

void Server::on_signal_number(int number) {
  if (number == SIGHUP) {
    reload();
  } else if (number == SIGUSR1) {
    desk_->pause("SIGUSR1");
  } else if (number == SIGUSR2) {
    desk_->resume("SIGUSR2");
  } else if (number == SIGTERM && !draining_) {
    begin_drain();
  } else {
    log(LogLevel::info, "stopping at once");
    stop();
  }
}

ActionResult Server::reload() {
  if (!hooks_.load_config) {
    log(LogLevel::warning, "there is no configuration to read again");
    return {"there is no configuration to read again", {}, {}};
  }
  const ConfigResult result = hooks_.load_config();
  for (const std::string& error : result.errors) log(LogLevel::error, error);
  reload_ok_ = result.errors.empty();
  if (!reload_ok_) {
    log(LogLevel::error, "the configuration has errors; nothing was changed",
        {{"errors", std::to_string(result.errors.size())}});
    return {"the configuration has errors; nothing was changed", {}, result.errors};
  }
  ReloadPlan plan = plan_reload(options_, result.options);
  for (const std::string& text : plan.refused) log(LogLevel::warning, "not changed: " + text);
  for (const std::string& text : plan.changed) log(LogLevel::info, "changed: " + text);
  options_ = std::move(plan.options);
  start_log(options_.log);
  shared_.clients_max.store(options_.engine.limits.clients_max, std::memory_order_relaxed);
  const auto mine = std::make_shared<const engine::EngineOptions>(
      options_of_worker(options_, static_cast<unsigned>(workers_.size())));
  for (auto& worker : workers_) {
    worker->post([w = worker.get(), mine] { w->reload(*mine); });
  }
  if (plan.backend == BackendChange::changed) monitor_->reload(options_.backend);
  log(LogLevel::info, "the configuration was read again",
      {{"changed", std::to_string(plan.changed.size())}, {"refused", std::to_string(plan.refused.size())}});
  ActionResult told;
  told.text = "the configuration was read again: " + std::to_string(plan.changed.size()) + " changed, " +
              std::to_string(plan.refused.size()) + " not";
  for (const std::string& text : plan.changed) told.lines.push_back("changed: " + text);
  for (const std::string& text : plan.refused) told.lines.push_back("not changed: " + text);
  return told;
}

void Server::on_topology(health::TopologyPtr topology) {
  const auto& now = topology->shards.front();
  const bool steady = now.state == health::GroupState::steady && now.route.has_value();
  topology_ = std::move(topology);
  observer_->on_topology(topology_, moment());
  tell_outages();
  for (auto& worker : workers_) {
    worker->post([w = worker.get(), t = topology_] { w->publish(t); });
  }
  if (!steady) return;
  ::sd_notifyf(0, "STATUS=master %s", resp::to_string(topology_->shards.front().route->address).c_str());
  if (!ready_told_) {
    ready_told_ = true;
    if (hooks_.on_ready) hooks_.on_ready();
  }
}

void Server::on_event(const health::Event& event) {
  log_event(event);
  if (event.kind == health::EventKind::route_revoked) ++promotions_revoked_;
  observer_->on_event(event, std::chrono::system_clock::now());
  tell_outages();
  if (hooks_.on_event) hooks_.on_event(event);
}

void Server::begin_drain() {
  draining_ = true;
  desk_->close();
  ::sd_notify(0, "STOPPING=1");
  log(LogLevel::info, "draining: no new clients; commands in flight are answered first",
      {{"clients", std::to_string(shared_.clients.load())},
       {"timeout_ms", std::to_string(options_.drain_timeout.count())}});
  leave_address([this] { stand_aside(); });
  for (auto& worker : workers_) {
    worker->post([w = worker.get()] { w->drain(); });
  }
  drain_timer_.expires_after(options_.drain_timeout);
  drain_timer_.async_wait([this](const error_code& error) {
    if (error || stopped_) return;
    log(LogLevel::warning, "the drain timeout is over; closing what is left",
        {{"clients", std::to_string(shared_.clients.load())}});
    stop();
  });
}

void Server::stop() {
  if (stopped_) return;
  stopped_ = true;
  desk_->close();
  boost::system::error_code ignored;
  signals_.cancel(ignored);
  report_timer_.cancel();
  drain_timer_.cancel();
  leave_timer_.cancel();
  if (vitals_) vitals_->stop();
  if (pair_) pair_->stop_listening();
  monitor_->stop();
  http_->stop();
  console_->stop();
  for (auto& worker : workers_) {
    worker->post([w = worker.get()] { w->stop_now(); });
  }
}

// --- The pair's address

/// Gone from the host: whatever is still written to its clients goes nowhere.
void Server::on_address_lost() {
  if (stopped_) return;
  let_clients_go(AddressNow::gone, std::chrono::milliseconds(0), nullptr);
}

/// Asked for, so its clients are told while packets can still leave from it; only then the address goes.
void Server::leave_address(const std::function<void()>& then) {
  if (!pair_) return;
  if (!pair_->holds_address()) return then();
  let_clients_go(AddressNow::here, leave_grace, then);
  leave_timer_.expires_after(leave_max);
  leave_timer_.async_wait([then](const error_code& error) {
    if (!error) then();
  });
}

/// Without a pair /readyz alone tells. Who connects to the pair's address before it has moved is let go when
/// it moves.
void Server::on_drain_changed() {
  if (desk_->drained().given) {
    leave_address([this] {
      drained_aside_ = desk_->drained().given;
      pair_->tell(fitness());
    });
    return;
  }
  drained_aside_ = false;
  if (pair_) pair_->tell(fitness());
}

void Server::let_clients_go(AddressNow now, std::chrono::milliseconds grace, std::function<void()> all_done) {
  const auto missing = std::make_shared<std::size_t>(workers_.size());
  for (auto& worker : workers_) {
    LeaveOrder order{options_.vrrp.host(), now, grace, {}};
    order.done = [this, missing, all_done](std::uint32_t clients) {
      asio::post(context_, [this, missing, all_done, clients] {
        pair_->count_reset(clients);
        if (clients > 0) {
          log(LogLevel::info, "clients of the pair's address were let go",
              {{"clients", std::to_string(clients)}});
        }
        if (--*missing == 0 && all_done) all_done();
      });
    };
    worker->post([w = worker.get(), order = std::move(order)]() mutable { w->let_go(std::move(order)); });
  }
}

void Server::stand_aside() {
  if (aside_) return;
  aside_ = true;
  if (pair_) pair_->tell(fitness());
}

vrrp::LocalFacts Server::facts() const {
  vrrp::LocalFacts now;
  now.phase = aside_ ? vrrp::Phase::leaving : serving_ ? vrrp::Phase::serving : vrrp::Phase::starting;
  now.leaving_reason = "draining: this process is about to end";
  if (vitals_) now.workers = vitals_->facts();
  now.listeners_wanted = static_cast<std::uint32_t>(draining_ ? 0 : listening_.size());
  return now;
}

/// Of the pair: an instance that was drained is well, and yet not to have the address.
vrrp::Verdict Server::fitness() const {
  if (drained_aside_ && !aside_) return {false, desk_->why_drained()};
  return vrrp::judge(facts());
}

// --- What is told

void Server::ask_for_reports() {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    workers_[i]->post([this, i, worker = workers_[i].get()] {
      asio::post(context_, [this, i, report = WorkerReport{worker->stats(), worker->buffer_bytes()}] {
        reports_[i] = report;
      });
    });
  }
  // What was heard of the last question; a worker that stands still keeps its old counts.
  observer_->on_reports(reports_, moment());
  tell_outages();
  if (Clock::now() - telemetry_asked_at_ >= telemetry_interval) ask_for_telemetry();
  log_repeats();
  report_timer_.expires_after(report_interval);
  report_timer_.async_wait([this](const error_code& error) {
    if (!error && !stopped_) ask_for_reports();
  });
}

std::string Server::fault() const {
  if (draining_) return "draining: this process is about to end";
  return vrrp::judge(facts()).reason;
}

std::string Server::not_ready() const {
  if (!topology_) return "no master is known yet";
  const health::Shard& shard = topology_->shards.front();
  if (shard.state == health::GroupState::steady) return {};
  return std::string("there is no confirmed master: ") + health::to_string(shard.state);
}

/// For who chooses an instance: the load balancer that asks /readyz.
std::string Server::not_to_be_chosen() const {
  return desk_->drained().given ? desk_->why_drained() : not_ready();
}

void Server::ask_for_telemetry() {
  // A worker that stands still must not be asked again and again: its answers would pile up.
  if (telemetry_heard_ < telemetry_.size()) return;
  telemetry_asked_at_ = Clock::now();
  telemetry_heard_ = 0;
  telemetry_.resize(workers_.size());
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    workers_[i]->post([this, i, worker = workers_[i].get()] {
      asio::post(context_, [this, i, snapshot = worker->telemetry()]() mutable {
        on_telemetry(i, std::move(snapshot));
      });
    });
  }
}

void Server::on_telemetry(std::size_t worker, engine::TelemetrySnapshot snapshot) {
  for (engine::ClientRow& row : snapshot.clients) row.worker = static_cast<std::uint32_t>(worker);
  for (engine::LinkRow& row : snapshot.links) row.worker = static_cast<std::uint32_t>(worker);
  telemetry_[worker] = std::move(snapshot);
  if (++telemetry_heard_ == telemetry_.size()) observer_->on_telemetry(telemetry_, moment());
}

void Server::tell_outages() {
  for (const std::string& line : observer_->take_lines()) log(LogLevel::warning, line, {{"event", "outage"}});
}

AdminSnapshot Server::snapshot() const {
  AdminSnapshot snapshot = observer_->snapshot(moment());
  snapshot.fault = fault();
  snapshot.not_ready = not_ready();
  snapshot.reload_ok = reload_ok_;
  snapshot.promotions_revoked = promotions_revoked_;
  snapshot.paused = desk_->paused();
  snapshot.drained = desk_->drained();
  snapshot.hold_max = options_.engine.limits.hold_max;
  if (pair_) snapshot.vrrp = pair_->status();
  for (const resp::Address& address : listening_) {
    snapshot.listen += (snapshot.listen.empty() ? "" : ", ") + resp::to_string(address);
  }
  return snapshot;
}

std::string Server::metrics() const {
  std::string text = render_metrics(snapshot());
  if (pair_) text += vrrp::render_metrics(pair_->status());
  return text;
}

}  // namespace

int run_server(const Options& options, const ServerHooks& hooks) {
  return Server(options, hooks).run();
}

}  // namespace fairlead::proxy
