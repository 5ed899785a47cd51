-- Of the rewordings kept, by prompt: how many, the share of answers to them that fail, and of answers to the queries they come from.
WITH fails AS (SELECT a.parent AS query, avg(v.outcome = 'fail') AS failed FROM text a JOIN verification v ON v.response = a.id WHERE a.kind = 'response' GROUP BY a.parent)
SELECT q.template, count(*) AS kept, round(avg(f.failed), 3) AS failed, round(avg(p.failed), 3) AS plain
FROM text q JOIN fails f ON f.query = q.id JOIN fails p ON p.query = q.parent WHERE q.kind = 'query' AND q.template LIKE 'attack-%' GROUP BY q.template;
