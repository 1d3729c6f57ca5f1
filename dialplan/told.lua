-- The same as told.xml from a script: <action application="lua" data="told.lua desks 1000 1001"/>
--
-- Unique-ID says that the caller's channel carries the attempt; without it, any text can be the key (Hookswitch-Key).

local function tell(queue, signal, said)
  local event = freeswitch.Event("CUSTOM", "hookswitch::signal")
  event:addHeader("Hookswitch-Queue", queue)
  event:addHeader("Hookswitch-Signal", signal)
  event:addHeader("Unique-ID", session:get_uuid())
  for name, value in pairs(said or {}) do
    event:addHeader("Hookswitch-" .. name, value)
  end
  event:fire()
end

local queue = argv[1]
tell(queue, "joined", {
  ["Member-Name"] = session:getVariable("caller_id_name"),
  ["Member-Number"] = session:getVariable("caller_id_number"),
  ["Destination"] = session:getVariable("destination_number"),
})
for place = 2, #argv do
  local agent = argv[place]
  tell(queue, "offering", { Agent = agent })
  local desk = freeswitch.Session("{originate_timeout=15}user/" .. agent, session)
  if desk:ready() then
    tell(queue, "bridged", { Agent = agent })
    freeswitch.bridge(session, desk)
    tell(queue, "leaving", { ["Ended-By"] = session:ready() and "agent" or "member" })
    return
  end
  tell(queue, "missed", { Agent = agent })
end
tell(queue, "leaving", { Reason = "timeout" })
