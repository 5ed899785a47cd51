-- Where did the attacker aim? Of each wave's draws: the share that the learner of that iteration fails, and m (1 - m) of its share m right in the drawn cell, which the attacker weighs by; beside both what draws from all cells alike have.
-- sqlite3 W/agon.db <bench/loop/aim.sql
.mode column
.headers on
WITH rate AS (SELECT t.iteration, q.family || '/' || q.cell AS cell, avg(v.outcome = 'pass') AS m FROM text t JOIN text q ON q.id = t.parent JOIN verification v ON v.response = t.id
              WHERE t.kind = 'response' AND v.outcome <> 'unknown' GROUP BY 1, 2),
     drawn AS (SELECT CAST(substr(path, 11) AS INTEGER) AS iteration, CAST(substr(path, instr(path, 'attack/') + 7) AS INTEGER) AS wave, input ->> 'cell' AS cell FROM step_item
               WHERE path LIKE 'iteration/%/attack/%/draw')
SELECT d.iteration, d.wave, count(*) AS draws, round(1 - avg(r.m), 3) AS fails, round(avg(r.m * (1 - r.m)), 3) AS weight,
       (SELECT round(1 - avg(m), 3) FROM rate WHERE iteration = d.iteration) AS fails_even, (SELECT round(avg(m * (1 - m)), 3) FROM rate WHERE iteration = d.iteration) AS weight_even
FROM drawn d JOIN rate r ON r.iteration = d.iteration AND r.cell = d.cell GROUP BY d.iteration, d.wave;
