"""KuaiRand's CSV layout, from a file made here: what was shown and what was answered."""

from pathlib import Path

import numpy as np
import pytest

from interplay.data.examples import Examples
from interplay.data.kuairand import kuairand
from interplay.data.read import load
from interplay.errors import BadData

HEAD = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab\n"
)


def row(user, video, time, *, click=0, like=0, long=0, rand=0, tab=1):
    return f"{user},{video},20220408,1600,{time},{click},{like},0,0,0,0,{long},900,1000,0,0,0,{rand},{tab}\n"


def written(folder: Path) -> Path:
    data = folder / "KuaiRand-Pure" / "data"
    data.mkdir(parents=True)
    (data / "log_standard_4_08_to_4_21_pure.csv").write_text(
        HEAD + row(3, 10, 1_649_408_000_000, click=1, long=1) + row(3, 11, 1_649_408_001_000)
    )
    (data / "log_standard_4_22_to_5_08_pure.csv").write_text(
        HEAD + row(3, 12, 1_650_600_000_000, click=1, like=1, tab=4) + row(5, 10, 1_650_600_000_000)
    )
    (data / "log_random_4_22_to_5_08_pure.csv").write_text(HEAD + row(5, 12, 1_650_600_500_000, click=1, rand=1))
    (data / "user_features_pure.csv").write_text(
        "user_id,user_active_degree,is_live_streamer,register_days,onehot_feat0,onehot_feat4\n"
        "3,full_active,-124,100,1,2.0\n5,middle_active,0,20,0,\n"
    )
    (data / "video_features_basic_pure.csv").write_text(
        "video_id,author_id,video_type,upload_dt,video_duration,music_id,music_type,tag\n"
        '10,7,NORMAL,2022-04-09,1000.0,99,9.0,"12,65"\n11,8,NORMAL,2022-04-10,,98,,\n12,7,AD,2022-04-11,500.0,97,4.0,12\n'
    )
    return data.parent


def test_rows_become_impressions_and_answers_events(tmp_path: Path):
    d = kuairand(written(tmp_path))
    assert len(d.tables["impressions"]) == 4 and len(d.events) == 4
    assert d.events.kinds == ("click", "like", "long_view")
    assert d.events.time.min() == 1_649_408_000_000_000, "milliseconds become microseconds"
    video = int(d.items.index([10])[0])
    assert d.catalogue["categories"][video].to_list() == ["12", "65"] and d.catalogue["author_id"][video] == "7"
    person = int(d.users.index([3])[0])
    assert d.people["is_live_streamer"][person] is None, "-124 is what nobody knows"
    assert d.people["onehot_feat4"][person] == "2"


def test_every_answer_is_a_task_of_the_rankers(tmp_path: Path):
    d = kuairand(written(tmp_path))
    e = Examples.of(d)
    assert set(e.tasks) == {"click", "like", "long_view"} and len(e) == 4
    by = {(d.users[u], d.items[i]): n for n, (u, i) in enumerate(zip(e.fields["user"], e.fields["item"], strict=True))}
    assert [float(e.labels[t][by[3, 10]]) for t in ("click", "like", "long_view")] == [1, 0, 1]
    assert [float(e.labels[t][by[3, 11]]) for t in ("click", "like", "long_view")] == [0, 0, 0]
    assert float(e.labels["like"][by[3, 12]]) == 1
    before = e.sequences["history"].row(by[3, 12])["item"]
    assert set(before.tolist()) == {int(d.items.index([10])[0])}, "only answers from before the moment"


def test_random_exposures_come_when_asked_for(tmp_path: Path, monkeypatch):
    folder = written(tmp_path)
    assert len(load(folder).events) == 4, "a folder is known by its files"
    d = kuairand(folder, random=True)
    assert len(d.tables["impressions"]) == 5 and int(np.sum(d.tables["impressions"]["explored"].to_numpy())) == 1
    folder.rename(tmp_path / "kuairand")
    monkeypatch.setenv("INTERPLAY_DATA", str(tmp_path))
    assert len(load("kuairand").events) == 4 and len(load("kuairand:random").events) == 5


def test_a_folder_without_a_log_or_a_column_is_refused(tmp_path: Path):
    with pytest.raises(BadData, match=r"holds no log_standard"):
        kuairand(tmp_path)
    (tmp_path / "log_standard_x.csv").write_text("user_id,video_id\n1,2\n")
    with pytest.raises(BadData, match="has no column 'time_ms'"):
        kuairand(tmp_path)
