from xraykit.headless.folder import lock_folder, make_work_folder


def test_make_work_folder_offers_an_interrupted_run_once(tmp_path, capsys):
    with lock_folder(tmp_path):
        (make_work_folder(tmp_path) / "a.ipynb").write_text("hours of training")
        assert not capsys.readouterr().out
        make_work_folder(tmp_path)
        (line,) = capsys.readouterr().out.splitlines()
        (kept,) = tmp_path.glob(".partial/earlier/*/a.ipynb")
        assert str(kept.parent) in line and kept.read_text() == "hours of training"
        make_work_folder(tmp_path)
        assert not kept.exists()
