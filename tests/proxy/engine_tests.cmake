# The engine, stepped without sockets.
fairlead_unit_test(engine_tests
  SOURCES engine/buffers_test.cpp engine/client_text_test.cpp engine/engine_clients_test.cpp
          engine/engine_failover_test.cpp engine/engine_gate_test.cpp engine/engine_hub_test.cpp
          engine/engine_large_test.cpp engine/engine_lease_test.cpp engine/engine_limits_test.cpp
          engine/engine_login_test.cpp engine/engine_pause_test.cpp engine/engine_replicas_test.cpp
          engine/engine_reply_mode_test.cpp engine/engine_runs_test.cpp
          engine/engine_scripts_test.cpp engine/engine_shared_test.cpp
          engine/engine_subscriptions_test.cpp engine/engine_tracking_test.cpp
          engine/engine_transactions_test.cpp engine/engine_unblock_test.cpp
          engine/engine_warm_test.cpp engine/engine_weight_test.cpp engine/fuzz_findings_test.cpp
          engine/pure_parts_test.cpp engine/replay_test.cpp engine/session_layout_test.cpp
          engine/sim_findings_test.cpp engine/subscription_hub_test.cpp engine/telemetry_test.cpp
  LIBS fairlead_engine)
